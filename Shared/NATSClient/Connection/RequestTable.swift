internal import HeapModule

/// What waits for an answer, by token, with the time by which each must have come. A plain value: the time is an
/// argument, and whoever calls does with the removed waiters what there is to do.
///
/// A token is reserved before its waiter exists, so that a cancellation that comes between the two is not lost.
struct RequestTable<Waiter> {
    typealias Instant = ContinuousClock.Instant

    private enum Entry {
        /// A token was given out; its waiter comes soon.
        case reserved
        /// Cancelled before the waiter came; exits when it comes.
        case abandoned
        case waiting(Waiter, deadline: Instant)
    }

    private struct Deadline: Comparable {
        let instant: Instant
        let token: UInt64
        static func < (left: Deadline, right: Deadline) -> Bool { left.instant < right.instant }
    }

    private var entries: [UInt64: Entry] = [:]
    /// May hold deadlines of requests that are long answered; they are skipped, and swept when they are the majority.
    private var deadlines = Heap<Deadline>()
    private var lastToken: UInt64 = 0

    var count: Int { entries.count }
    /// How many deadlines are kept, those of answered requests included.
    var deadlineCount: Int { deadlines.count }

    /// The next time at which something may have to be given up.
    var nextDeadline: Instant? { deadlines.min?.instant }

    mutating func reserve() -> UInt64 {
        lastToken &+= 1
        entries[lastToken] = .reserved
        return lastToken
    }

    /// As ``reserve()`` and ``wait(_:_:until:)``, where nothing can come between the two.
    mutating func add(_ waiter: Waiter, until deadline: Instant) -> UInt64 {
        lastToken &+= 1
        keep(lastToken, waiter, until: deadline)
        return lastToken
    }

    /// - Returns: false if the request was cancelled meanwhile; the waiter is then not kept.
    mutating func wait(_ token: UInt64, _ waiter: Waiter, until deadline: Instant) -> Bool {
        guard case .reserved? = entries[token] else {
            entries[token] = nil
            return false
        }
        keep(token, waiter, until: deadline)
        return true
    }

    private mutating func keep(_ token: UInt64, _ waiter: Waiter, until deadline: Instant) {
        entries[token] = .waiting(waiter, deadline: deadline)
        deadlines.insert(Deadline(instant: deadline, token: token))
        if deadlines.count > 64, deadlines.count > entries.count * 4 { sweep() }
    }

    /// Who waits, of several answers for one; the request goes on.
    func waiter(of token: UInt64) -> Waiter? {
        guard case .waiting(let waiter, _)? = entries[token] else { return nil }
        return waiter
    }

    /// Ends a request; its waiter, if it was waiting.
    mutating func remove(_ token: UInt64) -> Waiter? {
        guard case .waiting(let waiter, _)? = entries[token] else { return nil }
        entries[token] = nil
        return waiter
    }

    /// Ends a request whatever its state; its waiter is not wanted.
    mutating func forget(_ token: UInt64) { entries[token] = nil }

    /// As ``remove(_:)``, and if the waiter is yet to come, it will be refused.
    mutating func abandon(_ token: UInt64) -> Waiter? {
        if case .reserved? = entries[token] {
            entries[token] = .abandoned
            return nil
        }
        return remove(token)
    }

    /// Removes all whose time has come.
    mutating func expire(now: Instant) -> [Waiter] {
        var expired: [Waiter] = []
        while let earliest = deadlines.min, earliest.instant <= now {
            deadlines.removeMin()
            if let waiter = remove(earliest.token) { expired.append(waiter) }
        }
        // Otherwise the timer would be armed for requests that were answered long ago.
        while let earliest = deadlines.min, entries[earliest.token] == nil { deadlines.removeMin() }
        return expired
    }

    mutating func removeAll() -> [Waiter] {
        var removed: [Waiter] = []
        for (token, entry) in entries {
            guard case .waiting(let waiter, _) = entry else { continue }
            removed.append(waiter)
            entries[token] = nil
        }
        deadlines = Heap()
        return removed
    }

    private mutating func sweep() {
        var kept: [Deadline] = []
        for (token, entry) in entries {
            if case .waiting(_, let deadline) = entry { kept.append(Deadline(instant: deadline, token: token)) }
        }
        deadlines = Heap(kept)
    }
}
