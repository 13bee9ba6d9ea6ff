internal import JSON

extension JetStream {
    /// The newest message of `stream` on `subject` (which may hold wildcards); nil if there is none.
    ///
    /// Asks the stream's leader, so what was acknowledged before is seen.
    public func lastMessage(in stream: String, subject: String) async throws(NATSError) -> StreamMessage? {
        try NATSSyntax.checkName(stream, of: "stream")
        try NATSSyntax.checkSubject(subject, allowsWildcards: true)
        return try await storedMessage(in: stream, ["last_by_subj": .string(subject)])
    }

    /// One message by what `STREAM.MSG.GET` offers; nil if there is none.
    func storedMessage(in stream: String, _ which: JSONObject) async throws(NATSError) -> StreamMessage? {
        let answer: JSONValue
        do throws(NATSError) {
            answer = try await call("STREAM.MSG.GET.\(stream)", .object(which))
        } catch  where error.jetStreamCode == 10037 {
            return nil
        }
        guard let message = StreamMessage(json: answer["message"]) else {
            throw NATSError(.failed, "JetStream answered a message in a way that is not understood")
        }
        return message
    }

    /// One message without JSON, from a stream that allows it; nil if there is none.
    func directMessage(in stream: String, _ which: JSONObject) async throws(NATSError) -> StreamMessage? {
        let request = NATSMessage(
            subject: "$JS.API.DIRECT.GET.\(stream)", payload: JSONValue.object(which).serialized())
        let answer: NATSMessage
        do throws(NATSError) {
            answer = try await connection.request(request, timeout: timeout)
        } catch  where error.code == .noResponders || error.code == .timeout {
            // No such stream, or one that does not allow this: not all servers say so.
            return try await storedMessage(in: stream, which)
        }
        switch answer.status {
        case nil: break
        case 404?: return nil
        case let status?: throw NATSError(.failed, "JetStream refused a direct get with status \(status)")
        }
        guard let message = StreamMessage(direct: answer) else {
            throw NATSError(.failed, "JetStream answered a message in a way that is not understood")
        }
        return message
    }

    /// Up to `limit` messages of `stream` on `subject` (which may hold wildcards; nil is all) with a sequence greater
    /// than `after`, oldest first.
    public func messages(
        in stream: String, subject: String?, after: UInt64, limit: Int
    ) async throws(NATSError) -> [StreamMessage] {
        try NATSSyntax.checkName(stream, of: "stream")
        if let subject { try NATSSyntax.checkSubject(subject, allowsWildcards: true) }
        guard limit > 0, after < UInt64(Int64.max) else { return [] }
        if limit > JetStream.fewMessages {
            do throws(NATSError) {
                return try await messagesByConsumer(in: stream, subject: subject, after: after, limit: limit)
            } catch  where error.jetStreamCode != nil && error.code == .invalidArgument {
                // A work queue lets nobody else consume; its messages can still be read one by one.
            }
        }
        return try await messagesOneByOne(in: stream, subject: subject, after: after, limit: limit)
    }

    /// Up to so many messages a request each is less work than making a consumer.
    private static let fewMessages = 3

    private func messagesOneByOne(
        in stream: String, subject: String?, after: UInt64, limit: Int
    ) async throws(NATSError) -> [StreamMessage] {
        var messages: [StreamMessage] = []
        var next = after + 1
        while messages.count < limit {
            let which: JSONObject = [
                "seq": .integer(Int64(clamping: next)), "next_by_subj": .string(subject ?? ">"),
            ]
            guard let message = try await storedMessage(in: stream, which) else { break }
            messages.append(message)
            next = message.sequence &+ 1
        }
        return messages
    }

    /// How many there are, the server says when it makes the consumer, and which is the last, when it is asked: version 2.9
    /// may say too few of the one once it was killed, and that there is none of the other after a purge. Either is enough to go
    /// on. Most who ask have seen the last: then nothing more is asked.
    private func messagesByConsumer(
        in stream: String, subject: String?, after: UInt64, limit: Int
    ) async throws(NATSError) -> [StreamMessage] {
        let last = try await lastMessage(in: stream, subject: subject ?? ">")?.sequence
        if let last, last <= after { return [] }
        let reader = try await reader(of: stream, subject: subject, from: .sequence(after + 1))
        defer { reader.consumer.remove() }
        var messages: [StreamMessage] = []
        var pending = min(UInt64(limit), reader.pending)
        while pending > 0 {
            let batch = try await reader.consumer.fetchAvailable(Int(min(pending, 256)))
            let read = batch.compactMap(StreamMessage.init(delivered:))
            // What was there may have been removed meanwhile.
            guard !read.isEmpty else { break }
            messages.append(contentsOf: read)
            pending -= min(pending, UInt64(read.count))
        }
        let end = messages.last?.sequence ?? after
        guard let last, messages.count < limit, end < last else { return messages }
        return messages
            + (try await messagesOneByOne(in: stream, subject: subject, after: end, limit: limit - messages.count))
    }
}
