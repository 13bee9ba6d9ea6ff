package import Events

/// What becomes of a message that is in a queue although the queue's consumer has delivered it: decided from the task's
/// record.
package enum Leftover: Sendable, Hashable {
    /// Somebody may be at it.
    case leave
    /// The task is over: make sure that everything that follows its end has happened, then remove the message.
    case conclude(TaskRecord)
    /// Nothing is known of the task any more, nor has to be.
    case remove
    /// The task is not over and nobody is at it: put it into its queue once more, then remove the message.
    case queueAgain

    /// - Parameters:
    ///   - sequence: which message of the queue it is.
    ///   - isSettled: whether the consumer will not deliver it again.
    ///   - patience: how long nobody must have written of the task.
    ///   - retention: how long records are kept.
    package static func decide(
        record: TaskRecord?, sequence: UInt64, storedAt: Timestamp, isSettled: Bool, patience: Duration,
        retention: Duration, now: Timestamp
    ) -> Leftover {
        let touched = record?.updatedAt ?? storedAt
        guard touched.advanced(by: patience) <= now else { return .leave }
        if let record, record.state.isFinal { return .conclude(record) }
        guard isSettled else { return .leave }
        guard let record else { return storedAt.advanced(by: retention) <= now ? .remove : .queueAgain }
        // Another message is this task too, and will be delivered.
        if let own = record.streamSequence, own > sequence { return .remove }
        return .queueAgain
    }
}
