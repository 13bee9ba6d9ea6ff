internal import JSON

extension JetStream {
    /// How many sequences are looked at, the last ones that were delivered.
    private static let removedWindow: UInt64 = 100_000
    /// How many of them are told to the server at once.
    private static let removedTogether = 500

    /// Makes a consumer forget what it has delivered and its stream no longer holds. Harmless at any time, and of use once the
    /// server was killed.
    ///
    /// Such a server comes back with what it had written: of a work queue's message perhaps that it is gone, but not yet that it
    /// was acknowledged. It delivers that again, finds nothing, and in version 2.9 looks at the next only when somebody asks for
    /// messages; when all of them have had their turn, it begins anew. A few hundred, and those that are there come after minutes.
    /// Later versions go on at once. Neither tells which they are, so all are acknowledged that are gone.
    /// - Throws: `notFound` if there is no such consumer.
    public func forgetRemoved(by consumer: String, of stream: String) async throws(NATSError) {
        let state = try await consumerInformation(consumer, of: stream)
        guard state.unacknowledged > 0 else { return }
        // Asked for before the messages: what is not there then, up to here, never will be.
        let last = min(state.lastDelivered, try await streamInformation(stream).lastSequence)
        var position = max(state.acknowledged, last - min(last, JetStream.removedWindow))
        var removed: [UInt64] = []
        while position < last {
            let present = try await storedMessage(
                in: stream, ["seq": .integer(Int64(clamping: position + 1)), "next_by_subj": ">"])
            let end = present.map { min($0.sequence, last + 1) } ?? (last + 1)
            for sequence in (position + 1)..<max(end, position + 1) {
                removed.append(sequence)
                guard removed.count == JetStream.removedTogether else { continue }
                try await acknowledge(removed, of: consumer, stream)
                removed = []
            }
            position = end
        }
        try await acknowledge(removed, of: consumer, stream)
    }

    /// Acknowledges messages by their sequences, as whoever has got them does. A consumer knows by those which delivery it was.
    private func acknowledge(
        _ sequences: [UInt64], of consumer: String, _ stream: String
    ) async throws(NATSError) {
        let acknowledgements = sequences.map { sequence in
            NATSMessage(
                subject: DeliveryMetadata.replySubject(stream: stream, consumer: consumer, sequence: sequence),
                payload: Array("+ACK".utf8))
        }
        let answers = await connection.requestTogether(acknowledgements, timeout: timeout) { _ in .success(()) }
        for answer in answers { try answer.get() }
    }
}
