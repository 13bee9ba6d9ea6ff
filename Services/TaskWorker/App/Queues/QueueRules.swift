internal import EventBus
internal import Events
internal import Logging
internal import ServiceLifecycle
internal import Synchronization
internal import TaskWorkerCore

/// What holds for the queues, as this worker has last heard of it.
final class QueueRules: Sendable {
    /// Of the queues that this worker serves.
    let gates: [String: QueueGate]
    private let limits = Mutex<[String: Int]>([:])

    init(served queues: some Sequence<String>) {
        gates = Dictionary(uniqueKeysWithValues: queues.map { ($0, QueueGate()) })
    }

    /// How many tasks a queue takes; nil is any number.
    func limit(_ queue: String) -> Int? { limits.withLock { $0[queue] } }

    func apply(_ rule: QueueRule, to queue: String) {
        limits.withLock { $0[queue] = rule.limit }
        gates[queue]?.set(open: !rule.isPaused)
    }
}

/// Tells this worker what holds for the queues and says what its configuration says of them. A gate opens only once it
/// is known that its queue is not paused; while the bus cannot tell, everything stays as it is.
struct QueueRuleWatch: Service {
    let parts: WorkerParts
    /// How many tasks each queue takes that this worker serves.
    let limits: [String: Int?]

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                do throws(BusError) {
                    for (queue, limit) in limits { try await parts.queues.change(queue) { $0.limit = limit } }
                    // Ends when changes were lost or the bus was closed: then the watch begins anew with all of them.
                    try await follow()
                } catch {
                    parts.logger.debug("the watch of the queues is interrupted", metadata: ["error": "\(error)"])
                }
                try? await parts.clock.pause(for: .milliseconds(500))
            }
        }
    }

    private func follow() async throws(BusError) {
        var known: [String: QueueRule] = [:]
        for await event in try await parts.queues.ruleChanges() {
            switch event {
            case .entry(let entry):
                guard let queue = QueueStore.name(entry.key) else { continue }
                let rule = entry.operation == .put ? QueueStore.rule(entry) : QueueRule()
                known[queue] = rule
                parts.rules.apply(rule, to: queue)
            case .caughtUp:
                for queue in parts.rules.gates.keys where known[queue] == nil {
                    parts.rules.apply(QueueRule(), to: queue)
                }
            case .lost: return
            }
        }
    }
}
