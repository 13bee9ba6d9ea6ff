internal import JSON

/// The configuration of a durable pull consumer with explicit acknowledgement.
public struct ConsumerConfiguration: Sendable, Equatable {
    public var stream: String
    public var name: String
    /// One subject or wildcard of the stream; nil is all of it.
    public var filter: String?
    public var acknowledgementWait = Duration.seconds(30)
    /// nil is without end.
    public var maximumDeliveries: Int?
    public var maximumUnacknowledged = 1000

    public init(stream: String, name: String) {
        self.stream = stream
        self.name = name
    }

    var json: JSONObject {
        [
            "durable_name": .string(name),
            "filter_subject": filter.map(JSONValue.string) ?? .null,
            "ack_policy": "explicit",
            "ack_wait": .integer(acknowledgementWait.wholeNanoseconds),
            "max_deliver": .integer(Int64(maximumDeliveries ?? -1)),
            "max_ack_pending": .integer(Int64(maximumUnacknowledged)),
            "deliver_policy": "all",
            "replay_policy": "instant",
        ]
    }
}

extension JetStream {
    /// Makes the durable consumer, or changes it to be as configured.
    /// - Throws: `specificationMismatch`, naming the fields, if the server keeps or insists on something else; `notFound`
    ///   if there is no such stream.
    public func consumer(_ configuration: ConsumerConfiguration) async throws(NATSError) -> PullConsumer {
        try NATSSyntax.checkName(configuration.stream, of: "stream")
        try NATSSyntax.checkName(configuration.name, of: "consumer")
        if let filter = configuration.filter { try NATSSyntax.checkSubject(filter, allowsWildcards: true) }
        let wanted = configuration.json
        let path = "\(configuration.stream).\(configuration.name)"
        let kept: JSONValue?
        do throws(NATSError) {
            kept = try await call(
                "CONSUMER.DURABLE.CREATE.\(path)",
                ["stream_name": .string(configuration.stream), "config": .object(wanted.withoutNulls)])["config"]
        } catch  where error.jetStreamCode != nil && error.code != .notFound {
            // The server does not say in which field the consumer that it keeps is another.
            guard let kept = try? await call("CONSUMER.INFO.\(path)")["config"] else { throw error }
            let differences = ConfigurationDifference.fields(wanted: wanted, kept: kept)
            guard !differences.isEmpty else { throw error }
            throw ConfigurationDifference.error(
                "consumer \(configuration.name)", fields: differences, wanted: wanted, kept: kept)
        }
        let differences = ConfigurationDifference.fields(wanted: wanted, kept: kept)
        guard differences.isEmpty else {
            throw ConfigurationDifference.error(
                "consumer \(configuration.name)", fields: differences, wanted: wanted, kept: kept)
        }
        return PullConsumer(jetStream: self, stream: configuration.stream, name: configuration.name)
    }
}
