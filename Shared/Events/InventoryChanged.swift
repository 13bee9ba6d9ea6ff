public import JSON

/// `inventory.changed`: `{"product_id": "P-7", "quantity": 3, "threshold": 5, "version": 18}` and any other fields.
public struct InventoryChanged: TypedBusinessEvent {
    public static let type = "inventory.changed"

    public let productID: String
    public let quantity: Double
    /// Below this quantity the product is short.
    public let threshold: Double
    /// Grows with each change of the product's stock; nil where the sender does not count.
    public let version: Int64?
    public let fields: JSONObject

    /// `additional` fields do not replace those that the event is made of.
    public init(
        productID: JSONValue, quantity: JSONValue, threshold: JSONValue, version: Int64?, additional: JSONObject = [:]
    ) throws(EventFieldError) {
        var fields = additional.merging(["product_id": productID, "quantity": quantity, "threshold": threshold])
        fields["version"] = version.map { .integer($0) }
        try self.init(fields: fields)
    }

    /// Ids may be strings or integers.
    public init(fields: JSONObject) throws(EventFieldError) {
        productID = try fields.required("product_id", "a string or an integer", \.identifierText)
        quantity = try fields.required("quantity", "a number", \.finiteNumber)
        threshold = try fields.required("threshold", "a number", \.finiteNumber)
        if let version = fields["version"], !version.isNull {
            self.version = try fields.required("version", "an integer", \.integerValue)
        } else {
            version = nil
        }
        self.fields = fields
    }
}
