internal import Glibc
internal import HeapModule

/// A moment of the machine's monotonic clock.
struct ReactorTime: Comparable {
    var nanoseconds: Int64

    static var now: ReactorTime {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return ReactorTime(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }

    static func < (left: ReactorTime, right: ReactorTime) -> Bool { left.nanoseconds < right.nanoseconds }

    /// Later by `duration`; what is negative or beyond a century counts as none or one.
    static func + (time: ReactorTime, duration: Duration) -> ReactorTime {
        let duration = min(max(.zero, duration), .seconds(3_155_760_000))
        let (seconds, attoseconds) = duration.components
        return ReactorTime(nanoseconds: time.nanoseconds + seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
    }

    /// How long it is until then, rounded up: who wakes too early would have to wait again. 0 when it has passed.
    func milliseconds(after earlier: ReactorTime) -> Int64 {
        max(0, (nanoseconds - earlier.nanoseconds + 999_999) / 1_000_000)
    }
}

/// Something that a reactor will do at its time. Belongs to the reactor's thread.
public final class ReactorTimer {
    private var body: (() -> Void)?

    fileprivate init(_ body: @escaping () -> Void) { self.body = body }

    func fire() {
        defer { body = nil }
        body?()
    }

    /// It is not done if it has not been. What it would have done is let go of at once.
    public func cancel() { body = nil }
}

/// The timers of a reactor: few at a time, the deadlines of connections are the shards' business.
struct ReactorTimers {
    private struct Entry: Comparable {
        var time: ReactorTime
        /// Those of one moment are called in the order in which they were made.
        var number: UInt64
        var timer: ReactorTimer

        static func < (left: Entry, right: Entry) -> Bool { (left.time, left.number) < (right.time, right.number) }
        static func == (left: Entry, right: Entry) -> Bool { left.number == right.number }
    }

    private var entries = Heap<Entry>()
    private var made: UInt64 = 0

    mutating func schedule(at time: ReactorTime, _ body: @escaping () -> Void) -> ReactorTimer {
        made += 1
        let timer = ReactorTimer(body)
        entries.insert(Entry(time: time, number: made, timer: timer))
        return timer
    }

    /// When the next one is due; one that was cancelled may be among them.
    var next: ReactorTime? { entries.min?.time }

    /// Removes those whose time has come.
    mutating func due(at now: ReactorTime) -> [ReactorTimer] {
        var due: [ReactorTimer] = []
        while let entry = entries.min, entry.time <= now {
            due.append(entry.timer)
            entries.removeMin()
        }
        return due
    }
}
