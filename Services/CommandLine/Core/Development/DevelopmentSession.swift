public import JSON

/// What a running `apus dev` tells other commands in its data folder's `session.json`: where everything is.
public struct DevelopmentSession: Sendable, Equatable {
    public var process: Int32
    public var natsURL: String
    /// `http://HOST:PORT` of the page, or `https`.
    public var page: String
    /// Each service's own HTTP server, by the service's name.
    public var adminAddresses: [String: String]

    public init(process: Int32, natsURL: String, page: String, adminAddresses: [String: String] = [:]) {
        self.process = process
        self.natsURL = natsURL
        self.page = page
        self.adminAddresses = adminAddresses
    }

    public init?(json: JSONValue) {
        guard let process = json["process"]?.integerValue.flatMap(Int32.init(exactly:)), process > 0,
            let natsURL = json["nats_url"]?.stringValue, let page = json["page"]?.stringValue
        else { return nil }
        self.init(process: process, natsURL: natsURL, page: page)
        for (name, address) in json["admin"]?.objectValue ?? [:] { adminAddresses[name] = address.stringValue }
    }

    public var json: JSONValue {
        let admin = adminAddresses.sorted { $0.key < $1.key }.map { ($0.key, JSONValue.string($0.value)) }
        return [
            "process": .integer(Int64(process)), "nats_url": .string(natsURL), "page": .string(page),
            "admin": .object(JSONObject(admin)),
        ]
    }
}
