public import JSON

/// `order.status_changed`: `{"order_id": 1001, "user_id": "42", "status": "shipped"}` and any other fields.
public struct OrderStatusChanged: TypedBusinessEvent {
    public static let type = "order.status_changed"

    public let orderID: String
    /// Whose order it is.
    public let userID: String
    public let status: String
    public let fields: JSONObject

    /// `additional` fields do not replace those that the event is made of.
    public init(orderID: JSONValue, userID: String, status: String, additional: JSONObject = [:])
        throws(EventFieldError)
    {
        try self.init(
            fields: additional.merging(["order_id": orderID, "user_id": .string(userID), "status": .string(status)]))
    }

    /// Ids may be strings or integers.
    public init(fields: JSONObject) throws(EventFieldError) {
        orderID = try fields.required("order_id", "a string or an integer", \.identifierText)
        userID = try fields.required("user_id", "a string or an integer", \.identifierText)
        status = try fields.required("status", "a string", \.stringValue)
        self.fields = fields
    }
}
