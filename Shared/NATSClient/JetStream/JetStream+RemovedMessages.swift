internal import JSON

extension JetStream {
    /// How many removed sequences a server is asked to list: the answer must fit into a message.
    private static let maximumListed: UInt64 = 100_000
    /// How many sequences are looked through where it cannot list them, the last ones that were delivered.
    private static let window: UInt64 = 100_000
    /// How many are acknowledged at once.
    private static let page = 500

    /// Makes a consumer forget what it has delivered and its stream no longer holds. Harmless at any time, and of use once the
    /// server was killed.
    ///
    /// Such a server comes back with what it had written: of a work queue's message perhaps that it is gone, but not yet that it
    /// was acknowledged. It delivers that again, finds nothing, and in version 2.9 looks at the next only when somebody asks for
    /// messages; when all of them have had their turn, it begins anew. A few hundred, and those that are there come after minutes.
    /// Later versions go on at once. None tells which they are, so all are acknowledged that are gone.
    /// - Throws: `notFound` if there is no such consumer.
    public func forgetRemoved(by consumer: String, of stream: String) async throws(NATSError) {
        let state = try await consumerInformation(consumer, of: stream)
        guard state.unacknowledged > 0, state.acknowledged < state.lastDelivered else { return }
        let delivered = state.acknowledged + 1...state.lastDelivered
        if let removed = try await listRemoved(from: stream) {
            let first = min(max(removed.first, delivered.lowerBound), state.lastDelivered + 1)
            let before = max(delivered.lowerBound, first - min(first, JetStream.window))..<first
            try await acknowledge(before + removed.listed.filter(delivered.contains), of: consumer, stream)
        } else {
            try await findRemoved(from: stream, in: delivered) { removed async throws(NATSError) in
                try await acknowledge(removed, of: consumer, stream)
            }
        }
    }

    /// The sequence of the oldest message that the stream holds, and what it has removed since; nil if that is too much to be listed,
    /// or the list is not whole: a server of version 2.9 leaves out what was in a file that it has removed as a whole.
    private func listRemoved(from stream: String) async throws(NATSError) -> (first: UInt64, listed: [UInt64])? {
        guard try await streamInformation(stream).removed <= JetStream.maximumListed else { return nil }
        let answer = try await call("STREAM.INFO.\(stream)", ["deleted_details": true])
        let removed = (answer["state"]?["deleted"]?.arrayValue ?? []).compactMap(\.unsignedValue)
        let information = try StreamInformation(answer)
        return information.removed == UInt64(removed.count) ? (information.firstSequence, removed) : nil
    }

    /// Looks for what the stream does not hold by reading what it holds, within the last of `sequences`.
    /// - Parameter found: called again and again.
    private func findRemoved(
        from stream: String, in sequences: ClosedRange<UInt64>, _ found: ([UInt64]) async throws(NATSError) -> Void
    ) async throws(NATSError) {
        // Asked for before the messages: what is not there then, up to here, never will be.
        let last = min(sequences.upperBound, try await streamInformation(stream).lastSequence)
        var next = max(sequences.lowerBound, last - min(last, JetStream.window) + 1)
        var removed: [UInt64] = []
        while next <= last {
            let present = try await storedMessage(
                in: stream, ["seq": .integer(Int64(clamping: next)), "next_by_subj": ">"])
            let end = min(present?.sequence ?? .max, last + 1)
            removed += next..<max(next, end)
            next = end + 1
            guard removed.count >= JetStream.page || next > last else { continue }
            try await found(removed)
            removed = []
        }
    }

    /// Acknowledges messages by their sequences, as whoever has got them does; a consumer knows by those which delivery it was.
    private func acknowledge(
        _ sequences: [UInt64], of consumer: String, _ stream: String
    ) async throws(NATSError) {
        for start in stride(from: 0, to: sequences.count, by: JetStream.page) {
            _ = try await connection.requestAtOnce(timeout: timeout, { _ in .success(()) }) { add in
                for sequence in sequences[start..<min(start + JetStream.page, sequences.count)] {
                    let reply = DeliveryMetadata.replySubject(stream: stream, consumer: consumer, sequence: sequence)
                    add(NATSMessage(subject: reply, payload: Array("+ACK".utf8)))
                }
            }
        }
    }
}
