internal import EventBus
internal import Synchronization

/// How many tasks of each name may run at once in this worker, for the names that are limited. Whoever finds no place
/// stands in line for a moment; the rest of the time a task waits in its queue, where another worker may get it.
final class NamePlaces: Sendable {
    /// How many tasks of one name stand in line at the most.
    private static let longestLine = 64

    private struct Line {
        var free: Int
        var waiting: [(id: UInt64, continuation: CheckedContinuation<Bool, Never>)] = []
    }

    private struct State {
        var lines: [String: Line]
        var nextID: UInt64 = 0
    }

    private let state: Mutex<State>
    private let clock: any BusClock

    /// - Parameter limits: how many may run at once, by name.
    init(_ limits: [String: Int], clock: any BusClock) {
        state = Mutex(State(lines: limits.mapValues { Line(free: $0) }))
        self.clock = clock
    }

    /// Takes a place without waiting; nil if the name is not limited.
    func takeNow(_ name: String) -> Bool? {
        state.withLock { state in
            guard let free = state.lines[name]?.free else { return nil }
            guard free > 0 else { return false }
            state.lines[name]?.free -= 1
            return true
        }
    }

    /// Stands in line for a place, at most for `patience`.
    /// - Returns: whether there was one; it is taken then.
    func take(_ name: String, patience: Duration) async -> Bool {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        let isTaken = await withCheckedContinuation { continuation in
            let answer = state.withLock { state -> Bool? in
                guard var line = state.lines[name] else { return true }
                defer { state.lines[name] = line }
                if line.free > 0 {
                    line.free -= 1
                    return true
                }
                guard line.waiting.count < NamePlaces.longestLine else { return false }
                line.waiting.append((id, continuation))
                return nil
            }
            if let answer { return continuation.resume(returning: answer) }
            // Ends of itself: a place that comes first takes the entry out of the line.
            clock.schedule(after: patience) { [self] in leave(name, id) }
        }
        return isTaken
    }

    func giveBack(_ name: String) {
        let next = state.withLock { state -> CheckedContinuation<Bool, Never>? in
            guard var line = state.lines[name] else { return nil }
            defer { state.lines[name] = line }
            guard !line.waiting.isEmpty else {
                line.free += 1
                return nil
            }
            return line.waiting.removeFirst().continuation
        }
        next?.resume(returning: true)
    }

    private func leave(_ name: String, _ id: UInt64) {
        let continuation = state.withLock { state -> CheckedContinuation<Bool, Never>? in
            guard let index = state.lines[name]?.waiting.firstIndex(where: { $0.id == id }) else { return nil }
            return state.lines[name]?.waiting.remove(at: index).continuation
        }
        continuation?.resume(returning: false)
    }
}
