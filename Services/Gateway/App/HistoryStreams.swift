internal import EventBus
internal import Events
internal import GatewaySession
internal import Logging
internal import ServiceKit
internal import ServiceLifecycle

/// Keeps the streams of the namespaces with history, which are the gateway's to define: makes them, makes them again
/// should somebody delete one, and tells the hub which life each is in.
struct HistoryStreams: Service {
    let namespaces: NamespaceTable
    let hub: Hub
    let clock: GatewayClock
    let context: ServiceContext

    /// How often each stream is looked at.
    private static let interval = Duration.seconds(5)

    func run() async throws {
        context.readiness.set("streams", false)
        let kept = namespaces.all.compactMap { namespace in
            namespace.history.map { (name: namespace.name, history: $0) }
        }
        try await cancelWhenGracefulShutdown {
            do {
                for (name, history) in kept {
                    try await context.untilAvailable("the history of \(name): channels") {
                        _ = try await make(name, history)
                    }
                }
                context.readiness.set("streams", true)
                var marked: [String: Marked] = [:]
                while true {
                    try await Task.sleep(for: HistoryStreams.interval, tolerance: .milliseconds(500))
                    marked = await look(kept, marked)
                }
            } catch is CancellationError {
                return
            }
        }
    }

    /// When it was seen to that a stream has the day's mark. While none of this has changed, it still has it: what removes a
    /// mark moves the stream's first sequence.
    private struct Marked: Equatable, Sendable {
        let epoch: String
        let firstSequence: UInt64
        let day: Int64

        init(of state: StreamState, on time: Timestamp) {
            epoch = state.epoch
            firstSequence = state.firstSequence
            day = HistoryMark.day(of: time)
        }
    }

    private func make(_ name: String, _ history: ChannelHistory) async throws -> Marked {
        let state = try await context.bus.ensureStream(
            .channelHistory(history, namespace: name, subjects: context.subjects))
        let marked = try await mark(name, state)
        hub.observed(epoch: state.epoch, of: name)
        return marked
    }

    /// Looks at all at the same time: their answers come together, which is one wake-up instead of one for each.
    private func look(
        _ kept: [(name: String, history: ChannelHistory)], _ marked: [String: Marked]
    ) async -> [String: Marked] {
        await withTaskGroup(of: (String, Marked?).self) { group in
            for (name, history) in kept {
                group.addTask { (name, await look(name, history, marked[name])) }
            }
            return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
    }

    private func look(_ name: String, _ history: ChannelHistory, _ marked: Marked?) async -> Marked? {
        do {
            let state = try await context.bus.streamState(context.subjects.historyStream(namespace: name))
            hub.observed(epoch: state.epoch, of: name)
            guard marked != Marked(of: state, on: clock.time()) else { return marked }
            return try await mark(name, state)
        } catch  where error.code == .notFound {
            context.logger.warning("a stream was deleted and is made anew", metadata: ["namespace": "\(name)"])
            return try? await make(name, history)
        } catch {
            // The bus is away; its return is waited for by others.
            return nil
        }
    }

    private func mark(_ name: String, _ state: StreamState) async throws(BusError) -> Marked {
        let time = clock.time()
        try await HistoryMark(namespace: name, subjects: context.subjects).write(on: context.bus, at: time)
        return Marked(of: state, on: time)
    }
}
