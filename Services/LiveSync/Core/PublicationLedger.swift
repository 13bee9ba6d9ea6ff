/// What the stream already holds of a table's channel, and what that means for a change about to be published.
///
/// The stream is the truth: a process that was killed between a publish and saving its position, or whose publish timed out,
/// finds here what became of it, however long ago that was.
package struct PublicationLedger: Sendable, Hashable {
    /// Which change of which database a message is.
    package struct Origin: Sendable, Hashable {
        package var database: String
        package var sequence: UInt64

        package init(database: String, sequence: UInt64) {
            self.database = database
            self.sequence = sequence
        }

        /// The message's `Nats-Msg-Id`.
        package var messageID: String { "\(database):\(sequence)" }

        /// - Returns: nil for the id of a message that is not a source's.
        package init?(messageID: String) {
            guard let colon = messageID.lastIndex(of: ":"), colon > messageID.startIndex,
                let sequence = UInt64(messageID[messageID.index(after: colon)...])
            else { return nil }
            self.init(database: String(messageID[..<colon]), sequence: sequence)
        }
    }

    /// The sequence in the stream of the channel's last message, 0 if there is none: what must still be so for the next one
    /// to be taken. Two processes that publish the same changes can't both succeed.
    package var lastOnSubject: UInt64
    /// The last message that a source published there; nil if there is none.
    package var origin: Origin?

    package init(lastOnSubject: UInt64, origin: Origin?) {
        self.lastOnSubject = lastOnSubject
        self.origin = origin
    }

    /// Whether the stream has the change already.
    package func holds(_ change: Origin) -> Bool {
        origin.map { $0.database == change.database && $0.sequence >= change.sequence } ?? false
    }

    package mutating func stored(_ change: Origin, at sequence: UInt64) {
        lastOnSubject = sequence
        origin = change
    }
}
