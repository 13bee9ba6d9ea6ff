internal import EventBus
internal import Events
internal import Foundation
internal import GatewaySession
internal import Logging
internal import ServiceKit
internal import ServiceLifecycle

/// Makes the streams of the namespaces with history, which are the gateway's to define.
struct HistoryStreams: Service {
    let namespaces: NamespaceTable
    let context: ServiceContext

    func run() async throws {
        context.readiness.set("streams", false)
        try await cancelWhenGracefulShutdown {
            do {
                for namespace in namespaces.all {
                    guard let history = namespace.history else { continue }
                    let specification = StreamSpecification.channelHistory(
                        history, namespace: namespace.name, subjects: context.subjects)
                    _ = try await context.untilAvailable("the history of \(namespace.name): channels") {
                        try await context.bus.ensureStream(specification)
                    }
                }
                context.readiness.set("streams", true)
                try await Task.sleep(for: .seconds(86_400 * 36_500))
            } catch is CancellationError {
                return
            }
        }
    }
}

/// Runs the hub, and sweeps its idle channels each second.
struct HubRunner: Service {
    let hub: Hub
    let clock: GatewayClock

    func run() async throws {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                group.addTask { await hub.run() }
                while (try? await Task.sleep(for: .seconds(1))) != nil { hub.sweep(now: clock.moment()) }
                group.cancelAll()
            }
        }
    }
}

struct PresenceRunner: Service {
    let presence: PresenceService

    func run() async throws {
        try await cancelWhenGracefulShutdown { try await presence.run() }
    }
}

struct ControlRunner: Service {
    let control: ControlService

    func run() async throws {
        try await cancelWhenGracefulShutdown { try await control.run() }
    }
}

extension GatewayClock {
    /// The machine's clocks.
    static let system = GatewayClock(
        moment: {
            var time = timespec()
            clock_gettime(CLOCK_MONOTONIC, &time)
            return Moment(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
        },
        time: { Timestamp.now })
}
