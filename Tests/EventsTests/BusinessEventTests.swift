import Events
import JSON
import Testing

@Suite struct BusinessEventTests {
    @Test("a known event is read from its fields and keeps the others")
    func orderStatusChanged() throws {
        let event = BusinessEvent(
            type: "order.status_changed",
            fields: ["order_id": 1001, "user_id": "42", "status": "shipped", "carrier": "post"])
        let order = try #require(try event.typed(OrderStatusChanged.self))
        #expect(order.orderID == "1001" && order.userID == "42" && order.status == "shipped")
        #expect(order.fields["carrier"] == "post")
        #expect(BusinessEvent(order) == event)
        #expect(try event.typed(InventoryChanged.self) == nil)
    }

    @Test("inventory is read with and without a version")
    func inventoryChanged() throws {
        let event = try InventoryChanged(productID: "P-7", quantity: 3, threshold: 5.5, version: 18)
        #expect(event.fields == ["product_id": "P-7", "quantity": 3, "threshold": 5.5, "version": 18])
        #expect(event.quantity == 3 && event.threshold == 5.5 && event.version == 18)
        #expect(try InventoryChanged(productID: 7, quantity: 0, threshold: 1, version: nil).version == nil)
    }

    @Test("what is made of known fields cannot be overridden by additional ones")
    func additionalFields() throws {
        let order = try OrderStatusChanged(
            orderID: 1, userID: "42", status: "paid", additional: ["user_id": "43", "note": "x"])
        #expect(order.userID == "42" && order.fields["note"] == "x")
    }

    @Test(
        "a field that is missing or of another kind is named",
        arguments: [
            (["user_id": "42", "status": "x"], "the field order_id is missing"),
            (["order_id": nil, "user_id": "42", "status": "x"], "the field order_id is missing"),
            (
                ["order_id": 1, "user_id": 4.5, "status": "x"],
                "the field user_id is a number, but must be a string or an integer"
            ),
            (["order_id": 1, "user_id": "42", "status": 3], "the field status is a number, but must be a string"),
        ] as [(JSONObject, String)])
    func malformed(fields: JSONObject, expected: String) {
        let error = #expect(throws: EventFieldError.self) { try OrderStatusChanged(fields: fields) }
        #expect(error?.description == expected)
    }
}
