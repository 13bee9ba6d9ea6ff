internal import Dispatch
internal import HeapModule
internal import Synchronization

/// What the process is to do later, behind one timer: a plan costs an entry in a heap instead of a timer of its own, since most
/// are taken back long before their time.
///
/// `@unchecked`: the timer's source is documented as safe to set from any thread and is never exposed.
final class PlannedActions: @unchecked Sendable {
    static let shared = PlannedActions()

    private struct Plan: Comparable {
        let time: UInt64
        let number: UInt64

        static func < (left: Plan, right: Plan) -> Bool { (left.time, left.number) < (right.time, right.number) }
    }

    private struct State {
        var actions: [UInt64: @Sendable () -> Void] = [:]
        /// May hold plans that were taken back; they are skipped, and swept when they are the majority.
        var plans = Heap<Plan>()
        var last: UInt64 = 0
        var armed = UInt64.max
    }

    private let state = Mutex(State())
    private let source: any DispatchSourceTimer

    private init() {
        source = DispatchSource.makeTimerSource(queue: DispatchQueue(label: "planned-actions"))
        source.setEventHandler { [unowned self] in runDue() }
        source.activate()
    }

    /// Runs `action` once, so many nanoseconds from now.
    /// - Returns: what ``takeBack(_:)`` takes.
    func plan(after nanoseconds: UInt64, _ action: @escaping @Sendable () -> Void) -> UInt64 {
        let time = DispatchTime.now().uptimeNanoseconds + nanoseconds
        return state.withLock { state in
            state.last += 1
            state.actions[state.last] = action
            state.plans.insert(Plan(time: time, number: state.last))
            if state.plans.count > 256, state.plans.count > state.actions.count * 4 { sweep(&state) }
            arm(&state)
            return state.last
        }
    }

    /// Nothing happens if the action has run.
    func takeBack(_ number: UInt64) { state.withLock { $0.actions[number] = nil } }

    private func runDue() {
        let now = DispatchTime.now().uptimeNanoseconds
        let due = state.withLock { state in
            var due: [@Sendable () -> Void] = []
            while let next = state.plans.min, next.time <= now || state.actions[next.number] == nil {
                state.plans.removeMin()
                if let action = state.actions.removeValue(forKey: next.number) { due.append(action) }
            }
            state.armed = .max
            arm(&state)
            return due
        }
        // Each by itself, so that one that takes a while holds up no other.
        for action in due { DispatchQueue.global().async(execute: action) }
    }

    /// Under the lock, so that no later setting of the timer is overtaken by an earlier one.
    private func arm(_ state: inout State) {
        guard let next = state.plans.min, next.time < state.armed else { return }
        state.armed = next.time
        source.schedule(deadline: DispatchTime(uptimeNanoseconds: next.time), leeway: .nanoseconds(0))
    }

    private func sweep(_ state: inout State) {
        state.plans = Heap(state.plans.unordered.filter { state.actions[$0.number] != nil })
    }
}
