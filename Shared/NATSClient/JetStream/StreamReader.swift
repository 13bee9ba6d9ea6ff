internal import JSON

/// A short-lived consumer that reads a stream in order and leaves it as it is.
struct StreamReader: Sendable {
    enum Start {
        case sequence(UInt64)
        /// The last message of each subject, then what follows.
        case lastPerSubject
    }

    enum Content {
        case whole
        case headersOnly
    }

    let consumer: PullConsumer
    /// How many messages it had to deliver when it was made.
    let pending: UInt64
}

extension JetStream {
    /// Makes a reader. The server removes it a minute after it was last asked for messages, or with its own restart.
    func reader(
        of stream: String, subject: String?, from start: StreamReader.Start, content: StreamReader.Content = .whole
    ) async throws(NATSError) -> StreamReader {
        var configuration: JSONObject = [
            // "none" is not offered to consumers that are pulled from. Nothing is ever delivered twice, since nothing is
            // waited for longer than the consumer lives.
            "ack_policy": "all",
            "ack_wait": .integer(Duration.seconds(86_400).wholeNanoseconds),
            "max_ack_pending": -1,
            "max_deliver": -1,
            "replay_policy": "instant",
            "mem_storage": true,
            "num_replicas": 1,
            "inactive_threshold": .integer(Duration.seconds(60).wholeNanoseconds),
        ]
        if let subject { configuration["filter_subject"] = .string(subject) }
        switch start {
        case .sequence(let sequence):
            configuration["deliver_policy"] = "by_start_sequence"
            configuration["opt_start_seq"] = .integer(Int64(clamping: sequence))
        case .lastPerSubject:
            configuration["deliver_policy"] = "last_per_subject"
            configuration["filter_subject"] = .string(subject ?? ">")
        }
        if content == .headersOnly { configuration["headers_only"] = true }
        let answer = try await call(
            "CONSUMER.CREATE.\(stream)", ["stream_name": .string(stream), "config": .object(configuration)])
        guard let name = answer["name"]?.stringValue, let pending = answer["num_pending"]?.unsignedValue else {
            throw NATSError(.failed, "JetStream described a consumer in a way that is not understood")
        }
        let kept = ConfigurationDifference.fields(wanted: configuration, kept: answer["config"])
        let consumer = PullConsumer(jetStream: self, stream: stream, name: name)
        guard kept.isEmpty else {
            consumer.remove()
            throw ConfigurationDifference.error(
                "a reader of stream \(stream)", fields: kept, wanted: configuration, kept: answer["config"])
        }
        return StreamReader(consumer: consumer, pending: pending)
    }
}
