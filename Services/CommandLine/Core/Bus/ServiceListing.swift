public import JSON

/// One running instance of a service, put together from its answers to `$SRV.INFO` and `$SRV.STATS`.
public struct ServiceListing: Sendable, Equatable {
    public struct Endpoint: Sendable, Equatable {
        public let name: String
        public let subject: String
        public var requests: Int64 = 0
        public var errors: Int64 = 0
        public var processingTime: Duration = .zero
        public var lastError = ""

        /// Per request; nil before the first.
        public var averageTime: Duration? { requests > 0 ? processingTime / requests : nil }
    }

    public let name: String
    public let id: String
    public let version: String
    public var description: String
    public var endpoints: [Endpoint]

    public var requests: Int64 { endpoints.reduce(0) { $0 &+ $1.requests } }
    public var errors: Int64 { endpoints.reduce(0) { $0 &+ $1.errors } }

    /// Puts answers together, in whatever order they came; what is no such answer is left out.
    /// - Returns: by name, then id.
    public static func gather(_ answers: [JSONValue]) -> [ServiceListing] {
        var listings: [String: ServiceListing] = [:]
        for answer in answers {
            guard let listing = ServiceListing(answer) else { continue }
            guard var known = listings[listing.id] else {
                listings[listing.id] = listing
                continue
            }
            if known.description.isEmpty { known.description = listing.description }
            // Only the statistics have figures, whichever came first.
            if isStatistics(answer) { known.endpoints = listing.endpoints }
            listings[listing.id] = known
        }
        return listings.values.sorted { ($0.name, $0.id) < ($1.name, $1.id) }
    }

    private static func isStatistics(_ answer: JSONValue) -> Bool {
        answer["type"]?.stringValue?.hasSuffix("stats_response") ?? false
    }

    private init?(_ answer: JSONValue) {
        guard let name = answer["name"]?.stringValue, let id = answer["id"]?.stringValue else { return nil }
        self.name = name
        self.id = id
        version = answer["version"]?.stringValue ?? ""
        description = answer["description"]?.stringValue ?? ""
        endpoints = (answer["endpoints"]?.arrayValue ?? []).map { endpoint in
            Endpoint(
                name: endpoint["metadata"]?["method"]?.stringValue ?? endpoint["name"]?.stringValue ?? "",
                subject: endpoint["subject"]?.stringValue ?? "",
                requests: max(0, endpoint["num_requests"]?.integerValue ?? 0),
                errors: max(0, endpoint["num_errors"]?.integerValue ?? 0),
                processingTime: .nanoseconds(max(0, endpoint["processing_time"]?.integerValue ?? 0)),
                lastError: endpoint["last_error"]?.stringValue ?? "")
        }
    }

    /// The listing as one JSON object, for programs.
    public var json: JSONValue {
        [
            "name": .string(name), "id": .string(id), "version": .string(version),
            "description": .string(description), "requests": .integer(requests), "errors": .integer(errors),
            "endpoints": .array(
                endpoints.map { endpoint in
                    [
                        "name": .string(endpoint.name), "subject": .string(endpoint.subject),
                        "requests": .integer(endpoint.requests), "errors": .integer(endpoint.errors),
                        "average_seconds": endpoint.averageTime.map { .double($0 / .seconds(1)) } ?? .null,
                        "last_error": .string(endpoint.lastError),
                    ]
                }),
        ]
    }
}
