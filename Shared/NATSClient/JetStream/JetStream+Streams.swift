internal import JSON

extension JetStream {
    /// Makes the stream, or changes it to be as configured, and makes sure that the server keeps just that. Doing it
    /// again changes nothing.
    /// - Throws: `specificationMismatch`, naming the fields, if the server keeps or insists on something else.
    @discardableResult
    public func ensureStream(_ configuration: StreamConfiguration) async throws(NATSError) -> StreamInformation {
        try NATSSyntax.checkName(configuration.name, of: "stream")
        let wanted = configuration.json
        var answer: JSONValue
        do throws(NATSError) {
            answer = try await call("STREAM.INFO.\(configuration.name)")
        } catch  where error.code == .notFound {
            do throws(NATSError) {
                answer = try await call("STREAM.CREATE.\(configuration.name)", .object(wanted.withoutNulls))
            } catch  where error.jetStreamCode == 10058 {
                // Somebody else was faster.
                answer = try await call("STREAM.INFO.\(configuration.name)")
            }
        }
        let kept = answer["config"]
        let differences = ConfigurationDifference.fields(wanted: wanted, kept: kept)
        if !differences.isEmpty {
            answer = try await update(configuration.name, wanted: wanted, kept: kept, differences)
        }
        if differences.contains("max_msgs_per_subject"), let limit = configuration.maximumMessagesPerSubject {
            try await trimSubjects(of: configuration.name, to: limit)
            return try await streamInformation(configuration.name)
        }
        return try StreamInformation(answer)
    }

    /// Removes what is above a new limit per subject: old servers apply it only to messages that come later.
    private func trimSubjects(of stream: String, to limit: Int64) async throws(NATSError) {
        var offset: Int64 = 0
        while true {
            let page = try await call(
                "STREAM.INFO.\(stream)", ["subjects_filter": ">", "offset": .integer(offset)])
            guard let subjects = page["state"]?["subjects"]?.objectValue, !subjects.isEmpty else { return }
            for (subject, count) in subjects where count.integerValue ?? 0 > limit {
                try await purge(stream, subject: subject, keep: Int(clamping: limit))
            }
            offset += Int64(subjects.count)
            guard let total = page["total"]?.integerValue, offset < total else { return }
        }
    }

    private func update(
        _ name: String, wanted: JSONObject, kept: JSONValue?, _ differences: [String]
    ) async throws(NATSError) -> JSONValue {
        let merged = (kept?.objectValue ?? [:]).merging(wanted).withoutNulls
        let answer: JSONValue
        do throws(NATSError) {
            answer = try await call("STREAM.UPDATE.\(name)", .object(merged))
        } catch  where error.jetStreamCode == 10052 || error.code == .invalidArgument {
            let mismatch = ConfigurationDifference.error(
                "stream \(name)", fields: differences, wanted: wanted, kept: kept)
            throw NATSError(mismatch.code, "\(mismatch.message); it refuses to change it: \(error.message)")
        }
        let remaining = ConfigurationDifference.fields(wanted: wanted, kept: answer["config"])
        guard remaining.isEmpty else {
            throw ConfigurationDifference.error(
                "stream \(name)", fields: remaining, wanted: wanted, kept: answer["config"])
        }
        return answer
    }

    /// - Throws: `notFound` if there is no such stream.
    public func streamInformation(_ name: String) async throws(NATSError) -> StreamInformation {
        try NATSSyntax.checkName(name, of: "stream")
        return try StreamInformation(try await call("STREAM.INFO.\(name)"))
    }

    /// How many messages there are on each subject that matches `pattern`.
    /// - Throws: `notFound` if there is no such stream.
    public func subjectCounts(
        in stream: String, matching pattern: String
    ) async throws(NATSError) -> [String: UInt64] {
        try NATSSyntax.checkName(stream, of: "stream")
        try NATSSyntax.checkSubject(pattern, allowsWildcards: true)
        var counts: [String: UInt64] = [:]
        var offset: Int64 = 0
        while true {
            let page = try await call(
                "STREAM.INFO.\(stream)", ["subjects_filter": .string(pattern), "offset": .integer(offset)])
            guard let subjects = page["state"]?["subjects"]?.objectValue, !subjects.isEmpty else { return counts }
            for (subject, count) in subjects {
                counts[subject] = count.integerValue.flatMap(UInt64.init(exactly:)) ?? 0
            }
            offset += Int64(subjects.count)
            guard let total = page["total"]?.integerValue, offset < total else { return counts }
        }
    }

    /// How far the consumer has come.
    /// - Throws: `notFound` if there is no such consumer.
    public func consumerInformation(
        _ name: String, of stream: String
    ) async throws(NATSError) -> (
        pending: UInt64, unacknowledged: Int, lastDelivered: UInt64, acknowledged: UInt64
    ) {
        try NATSSyntax.checkName(stream, of: "stream")
        try NATSSyntax.checkName(name, of: "consumer")
        let answer = try await call("CONSUMER.INFO.\(stream).\(name)")
        guard let pending = answer["num_pending"]?.integerValue,
            let unacknowledged = answer["num_ack_pending"]?.integerValue
        else { throw NATSError(.failed, "JetStream answered a consumer in a way that is not understood") }
        return (
            UInt64(clamping: pending), Int(clamping: unacknowledged),
            UInt64(clamping: answer["delivered"]?["stream_seq"]?.integerValue ?? 0),
            UInt64(clamping: answer["ack_floor"]?["stream_seq"]?.integerValue ?? 0)
        )
    }

    /// Deletes a stream with all that it holds; nothing happens if there is none.
    public func deleteStream(_ name: String) async throws(NATSError) {
        try NATSSyntax.checkName(name, of: "stream")
        do throws(NATSError) {
            _ = try await call("STREAM.DELETE.\(name)")
        } catch  where error.code == .notFound {
            return
        }
    }

    /// Removes the messages on `subject` (nil is all), except for the newest `keep`.
    public func purge(_ stream: String, subject: String?, keep: Int) async throws(NATSError) {
        try NATSSyntax.checkName(stream, of: "stream")
        var body: JSONObject = [:]
        if let subject {
            try NATSSyntax.checkSubject(subject, allowsWildcards: true)
            body["filter"] = .string(subject)
        }
        if keep > 0 { body["keep"] = .integer(Int64(keep)) }
        _ = try await call("STREAM.PURGE.\(stream)", .object(body))
    }

    /// Removes one message; nothing happens if it is not there.
    public func deleteMessage(in stream: String, sequence: UInt64) async throws(NATSError) {
        try NATSSyntax.checkName(stream, of: "stream")
        do throws(NATSError) {
            _ = try await call("STREAM.MSG.DELETE.\(stream)", ["seq": .integer(Int64(clamping: sequence))])
        } catch  where error.code == .notFound {
            // The message, unless the stream is missing.
            if error.jetStreamCode == 10059 { throw error }
        } catch  where error.jetStreamCode == 10057 {
            // "Delete failed" is also what the server says of a message that is not there.
            if try await storedMessage(in: stream, ["seq": .integer(Int64(clamping: sequence))]) != nil { throw error }
        }
    }
}

extension JSONObject {
    var withoutNulls: JSONObject { JSONObject(filter { !$0.value.isNull }.map { ($0.key, $0.value) }) }
}
