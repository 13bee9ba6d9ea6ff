internal import EventBus
internal import Events
internal import Foundation
internal import GatewaySession
internal import Logging
internal import ServiceKit
internal import ServiceLifecycle

/// Runs the hub; each second it sweeps idle channels and audits some of the silent ones.
struct HubRunner: Service {
    let hub: Hub
    let clock: GatewayClock

    func run() async throws {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                group.addTask { await hub.run() }
                while (try? await Task.sleep(for: untilNextTurn)) != nil {
                    hub.sweep(now: clock.moment())
                    hub.audit(limit: Hub.auditsEachSecond)
                }
                group.cancelAll()
            }
        }
    }

    private var untilNextTurn: Duration {
        let now = clock.moment()
        return now.duration(to: now.next(multipleOf: .seconds(1)))
    }
}

struct CanaryRunner: Service {
    let canary: BusCanary

    func run() async throws {
        try await cancelWhenGracefulShutdown { try await canary.run() }
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

/// Answers other gateways.
struct NodeRequestsRunner: Service {
    let nodes: NodeRequests

    func run() async throws {
        try await cancelWhenGracefulShutdown { try await nodes.run() }
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
