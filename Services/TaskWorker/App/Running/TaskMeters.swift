internal import Metrics
internal import Synchronization

/// What is counted and timed for every attempt. Kept by name, since looking a metric up by its text costs as much as a
/// message to the bus.
///
/// Values of dimensions are names that this worker knows: one from outside must not make a series of its own.
final class TaskMeters: Sendable {
    private struct Series: Hashable {
        var label: String
        var values: [String]
    }

    private let counters = Mutex<[Series: Counter]>([:])
    private let timers = Mutex<[Series: Timer]>([:])

    func count(_ label: String, _ dimensions: [(String, String)]) {
        let counter = counters.withLock { counters in
            let series = Series(label: label, values: dimensions.map(\.1))
            if let known = counters[series] { return known }
            let made = Counter(label: label, dimensions: dimensions)
            counters[series] = made
            return made
        }
        counter.increment()
    }

    func time(_ label: String, _ dimensions: [(String, String)], nanoseconds: Int64) {
        let timer = timers.withLock { timers in
            let series = Series(label: label, values: dimensions.map(\.1))
            if let known = timers[series] { return known }
            let made = Timer(label: label, dimensions: dimensions)
            timers[series] = made
            return made
        }
        timer.recordNanoseconds(nanoseconds)
    }
}
