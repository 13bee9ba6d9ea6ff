internal import EventBus
internal import Events
internal import Synchronization
internal import TaskWorkerCore

/// The places of a worker, shared by its queues.
final class Places: Sendable {
    private let table: Mutex<PlaceTable>
    /// Woken when a place may be free: each queue's fetching, one reader each, and those who want a place back.
    private let wakes: [String: (stream: AsyncStream<Void>, sink: AsyncStream<Void>.Continuation)]
    private let waiting = Mutex<[(queue: String, continuation: CheckedContinuation<Void, Never>)]>([])

    init(_ table: PlaceTable, queues: some Sequence<String>) {
        self.table = Mutex(table)
        wakes = Dictionary(
            uniqueKeysWithValues: queues.map { queue in
                let (stream, sink) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
                return (queue, (stream: stream, sink: sink))
            })
    }

    func taken(_ queue: String) -> Int { table.withLock { $0.taken(queue) } }

    func isAwaited(_ queue: String) -> Bool { table.withLock { $0.isAwaited(queue) } }

    func take(_ queue: String) -> Bool { table.withLock { $0.take(queue) } }

    func giveBack(_ queue: String) {
        table.withLock { $0.giveBack(queue) }
        wake()
    }

    func note(_ queue: String, mayHaveMore: Bool) {
        table.withLock { $0.note(queue, mayHaveMore: mayHaveMore) }
        if !mayHaveMore { wake() }
    }

    func free(of queue: String) -> Int { table.withLock { $0.free(queue) } }

    /// Waits until at least one task of the queue may begin; 0 if the calling task was cancelled. For one caller per
    /// queue.
    func free(_ queue: String) async -> Int { await free(queue, until: { false }) }

    /// As ``free(_:)``, for at most `patience`: then 0.
    func free(_ queue: String, within patience: Duration, _ clock: any BusClock) async -> Int {
        let count = table.withLock { $0.free(queue) }
        if count > 0 { return count }
        let end = clock.now.advanced(by: patience)
        let takeBack = clock.schedule(after: patience) { [sink = wakes[queue]?.sink] in sink?.yield() }
        defer { takeBack() }
        return await free(queue, until: { clock.now >= end })
    }

    private func free(_ queue: String, until isOver: () -> Bool) async -> Int {
        guard let stream = wakes[queue]?.stream else { return 0 }
        var iterator = stream.makeAsyncIterator()
        while true {
            let count = table.withLock { $0.free(queue) }
            if count > 0 || isOver() { return count }
            if await iterator.next() == nil { return 0 }
        }
    }

    /// Takes a place, and waits for one if there is none. Whoever waits here goes before new tasks.
    func takeBack(_ queue: String) async {
        while !take(queue) { await untilWoken(queue) }
    }

    /// Takes as many places as are free, up to `maximum`; waits for one if there is none, before new tasks do.
    /// - Returns: how many; 0 if none was free within `patience`.
    func take(_ queue: String, upTo maximum: Int, within patience: Duration, _ clock: any BusClock) async -> Int {
        let end = clock.now.advanced(by: patience)
        var takeBack: (@Sendable () -> Void)?
        defer { takeBack?() }
        while true {
            let count = table.withLock { table in
                var count = 0
                while count < maximum, table.take(queue) { count += 1 }
                return count
            }
            if count > 0 || clock.now >= end { return count }
            if takeBack == nil { takeBack = clock.schedule(after: patience) { self.wake() } }
            await untilWoken(queue)
        }
    }

    private func untilWoken(_ queue: String) async {
        await withCheckedContinuation { continuation in
            waiting.withLock { $0.append((queue, continuation)) }
            // One may have come free before this was in the list.
            if table.withLock({ $0.free(queue) }) > 0 { wake() }
        }
    }

    private func wake() {
        let ready = waiting.withLock { waiting in
            defer { waiting = [] }
            return waiting
        }
        for (_, continuation) in ready { continuation.resume() }
        for (_, sink) in wakes.values { sink.yield() }
    }
}
