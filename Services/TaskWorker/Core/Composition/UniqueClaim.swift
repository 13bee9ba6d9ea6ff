package import Events

/// Who holds a unique key, as it is written down, and what that means for another task that asks for it.
package struct UniqueClaim: Sendable, Hashable {
    /// How long a task may hold a key without a record: between its claim and its record a submission can be killed.
    package static let grace = Duration.seconds(60)

    package var holder: TaskID
    package var claimedAt: Timestamp

    package init(holder: TaskID, claimedAt: Timestamp) {
        self.holder = holder
        self.claimedAt = claimedAt
    }

    package enum Answer: Sendable, Hashable {
        case free
        /// The task that asks has it already.
        case ours
        case held(by: TaskID)
    }

    /// - Parameters:
    ///   - claim: nil if the key was never claimed.
    ///   - record: the holder's; nil if there is none.
    package static func answer(
        to asking: TaskID, claim: UniqueClaim?, record: TaskRecord?, now: Timestamp
    ) -> Answer {
        guard let claim else { return .free }
        if claim.holder == asking { return .ours }
        if let record { return record.state.isFinal ? .free : .held(by: claim.holder) }
        return claim.claimedAt.duration(to: now) < grace ? .held(by: claim.holder) : .free
    }
}
