internal import Events
internal import JSON

/// One method of a ``MicroService``.
struct MicroServiceEndpoint: Sendable {
    typealias Handler = @Sendable (RPCRequest) async throws -> JSONValue

    /// As `nats micro` shows it: the method, with `-` for every character that an endpoint's name must not hold.
    let name: String
    let method: String
    let subject: String
    let handler: Handler

    init(method: String, subject: String, handler: @escaping Handler) {
        name = String(
            method.map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == "-") ? $0 : "-" })
        self.method = method
        self.subject = subject
        self.handler = handler
    }
}

/// What has been asked of one method since the service started.
public struct EndpointStatistics: Sendable, Equatable {
    public let method: String
    public let subject: String
    /// Calls, those that were refused since too many were in hand included.
    public internal(set) var requests: UInt64 = 0
    /// Calls that were answered with an error.
    public internal(set) var errors: UInt64 = 0
    /// Calls that were refused since too many were in hand or the service was stopping; they are errors too.
    public internal(set) var refused: UInt64 = 0
    /// Code and message of the last error.
    public internal(set) var lastError: RPCError?
    /// The handlers' time, summed.
    public internal(set) var processingTime: Duration = .zero

    init(method: String, subject: String) {
        self.method = method
        self.subject = subject
    }

    mutating func record(_ reply: RPCReply, took duration: Duration) {
        requests += 1
        processingTime += duration
        guard case .error(let error) = reply else { return }
        errors += 1
        lastError = error
    }
}

/// The answers to `$SRV.PING`, `$SRV.INFO` and `$SRV.STATS` (ADR-32).
struct MicroServiceDescription: Sendable {
    enum Verb: String, CaseIterable {
        case ping = "PING"
        case info = "INFO"
        case stats = "STATS"
    }

    let name: String
    let version: String
    let description: String
    let id: String
    let started: Timestamp

    /// `$SRV.<verb>`, then with the service's name, then with its id.
    func subjects(_ verb: Verb) -> [String] {
        ["$SRV.\(verb.rawValue)", "$SRV.\(verb.rawValue).\(name)", "$SRV.\(verb.rawValue).\(name).\(id)"]
    }

    func answer(
        _ verb: Verb, endpoints: [MicroServiceEndpoint], statistics: [EndpointStatistics]
    ) -> JSONObject {
        var answer: JSONObject = [
            "type": .string("io.nats.micro.v1.\(verb.rawValue.lowercased())_response"), "name": .string(name),
            "id": .string(id), "version": .string(version), "metadata": [:],
        ]
        switch verb {
        case .ping: break
        case .info:
            answer["description"] = .string(description)
            answer["endpoints"] = .array(endpoints.map { .object(place(of: $0)) })
        case .stats:
            answer["started"] = .string(started.description)
            answer["endpoints"] = .array(
                zip(endpoints, statistics).map { .object(place(of: $0).merging(figures(of: $1))) })
        }
        return answer
    }

    private func place(of endpoint: MicroServiceEndpoint) -> JSONObject {
        [
            "name": .string(endpoint.name), "subject": .string(endpoint.subject),
            "queue_group": .string(MicroService.queueGroup), "metadata": ["method": .string(endpoint.method)],
        ]
    }

    private func figures(of statistics: EndpointStatistics) -> JSONObject {
        let (seconds, attoseconds) = statistics.processingTime.components
        let nanoseconds = seconds * 1_000_000_000 + attoseconds / 1_000_000_000
        let average = statistics.requests == 0 ? 0 : nanoseconds / Int64(statistics.requests)
        return [
            "num_requests": .integer(Int64(statistics.requests)), "num_errors": .integer(Int64(statistics.errors)),
            "last_error": .string(statistics.lastError?.description ?? ""), "processing_time": .integer(nanoseconds),
            "average_processing_time": .integer(average),
        ]
    }
}
