internal import JSON

/// What a server says about itself: `INFO`.
struct ServerInformation: Equatable, Sendable {
    /// The largest message that it takes, and so the largest that it sends.
    var maximumPayload = 1 << 20
    /// What a user with a key must sign.
    var nonce: String?
    var requiresTLS = false
    /// It is about to leave, and asks its clients to go elsewhere.
    var isLeaving = false
    /// Where clients find it and the other servers of its cluster: `host:port` each.
    var addresses: [String] = []

    /// What is missing or of another kind than it should be counts as not said.
    /// - Returns: nil if this is no JSON object.
    init?(json: some Collection<UInt8>) {
        guard let object = try? JSONValue(parsing: json), object.objectValue != nil else { return nil }
        if let size = object["max_payload"]?.integerValue, size > 0 {
            maximumPayload = min(Int(size), CoreParser.largestPayload)
        }
        nonce = object["nonce"]?.stringValue
        requiresTLS = object["tls_required"]?.boolValue ?? false
        isLeaving = object["ldm"]?.boolValue ?? false
        addresses = object["connect_urls"]?.arrayValue?.compactMap(\.stringValue) ?? []
    }
}
