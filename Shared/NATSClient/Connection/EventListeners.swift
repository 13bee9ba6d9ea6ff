/// Those who want to know what happens to a connection.
struct EventListeners {
    private var continuations: [UInt64: AsyncStream<NATSConnectionEvent>.Continuation] = [:]
    private var last: UInt64 = 0

    /// - Returns: its number, for ``remove(_:)``.
    mutating func add(_ continuation: AsyncStream<NATSConnectionEvent>.Continuation) -> UInt64 {
        last += 1
        continuations[last] = continuation
        return last
    }

    mutating func remove(_ number: UInt64) { continuations[number] = nil }

    /// Not to be called under a lock that a listener may need when its sequence ends. `closed` is the last event.
    func tell(_ event: NATSConnectionEvent) {
        for continuation in continuations.values {
            continuation.yield(event)
            if event == .closed { continuation.finish() }
        }
    }
}
