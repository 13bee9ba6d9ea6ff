/// The calls of a ``MemoryBus`` into which a test can put faults.
public enum MemoryBusOperation: Sendable, Hashable, CaseIterable {
    case publish
    case request
    case flush
    case append
    /// Reading a stream's state or messages.
    case read
    /// Making, deleting and purging streams, consumers and buckets.
    case manage
    case fetch
    /// Acknowledging, retrying, extending, terminating.
    case answer
    case keyValueRead
    case keyValueWrite
}

/// How a call goes wrong.
public enum MemoryBusFault: Sendable, Equatable {
    /// It throws, and nothing has happened.
    case fails(BusError)
    /// It throws `timeout`, but has happened: the server acted and its answer was lost.
    case answerIsLost
}
