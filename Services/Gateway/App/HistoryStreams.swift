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
                        try await make(name, history)
                    }
                }
                context.readiness.set("streams", true)
                while true {
                    try await Task.sleep(for: HistoryStreams.interval)
                    for (name, history) in kept { await look(name, history) }
                }
            } catch is CancellationError {
                return
            }
        }
    }

    private func make(_ name: String, _ history: ChannelHistory) async throws {
        let state = try await context.bus.ensureStream(
            .channelHistory(history, namespace: name, subjects: context.subjects))
        try await HistoryMark(namespace: name, subjects: context.subjects).write(on: context.bus, at: clock.time())
        hub.observed(epoch: state.epoch, of: name)
    }

    private func look(_ name: String, _ history: ChannelHistory) async {
        do {
            let state = try await context.bus.streamState(context.subjects.historyStream(namespace: name))
            hub.observed(epoch: state.epoch, of: name)
            try await HistoryMark(namespace: name, subjects: context.subjects).write(on: context.bus, at: clock.time())
        } catch  where error.code == .notFound {
            context.logger.warning("a stream was deleted and is made anew", metadata: ["namespace": "\(name)"])
            try? await make(name, history)
        } catch {
            // The bus is away; its return is waited for by others.
            return
        }
    }
}
