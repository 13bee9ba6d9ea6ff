internal import EventBus
internal import Events
internal import Logging
internal import ServiceLifecycle

/// Opens and closes the gates of this worker's queues as they are paused and resumed, wherever that was said.
///
/// While the bus cannot tell, each gate stays as it is.
struct PauseWatch: Service {
    let parts: WorkerParts
    let gates: [String: QueueGate]

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                do throws(BusError) {
                    // Ends when changes were lost or the bus was closed: then the watch begins anew with all of them.
                    try await follow()
                } catch {
                    parts.logger.debug("the watch for pauses is interrupted", metadata: ["error": "\(error)"])
                }
                try? await parts.clock.pause(for: .milliseconds(500))
            }
        }
    }

    private func follow() async throws(BusError) {
        var paused: Set<String> = []
        var isCaughtUp = false
        for await event in try await parts.queues.pauses() {
            switch event {
            case .entry(let entry):
                guard let queue = QueueStore.queue(entry.key) else { continue }
                if entry.operation == .put { paused.insert(queue) } else { paused.remove(queue) }
                if isCaughtUp { gates[queue]?.set(open: !paused.contains(queue)) }
            case .caughtUp:
                isCaughtUp = true
                for (queue, gate) in gates { gate.set(open: !paused.contains(queue)) }
            case .lost: return
            }
        }
    }
}
