internal import EventBus
internal import Events
package import JSON
package import Logging
package import NotifierCore
internal import ServiceLifecycle
internal import Synchronization

/// The alerts that fire now, followed from their bucket, so that listing them reads nothing.
package final class AlertIndex: Service {
    private let alerts: AlertStore
    private let rules: [String: Rule]
    private let logger: Logger
    private let policy: RetryPolicy
    private let state = Mutex(State())

    private struct State {
        var isComplete = false
        var firing: [String: AlertState.Incident] = [:]
    }

    package init(alerts: AlertStore, rules: RuleBook, policy: RetryPolicy, logger: Logger) {
        self.alerts = alerts
        self.rules = Dictionary(
            rules.rules.filter { $0.alert != nil }.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        self.policy = policy
        self.logger = logger
    }

    /// Those that fire, the latest first; nil while not all are known yet.
    package var firing: [JSONValue]? {
        let incidents: [(key: String, value: AlertState.Incident)]? = state.withLock { state in
            state.isComplete ? Array(state.firing) : nil
        }
        return incidents?.sorted { ($1.value.since, $0.key) < ($0.value.since, $1.key) }.map { key, incident in
            var alert = incident.notification.json
            alert["rule"] = .string(AlertStore.rule(ofKey: key))
            alert["channel"] = .string(incident.channel.description)
            return .object(alert)
        }
    }

    package func run() async throws {
        var failures = 0
        do {
            while !Task.isShuttingDownGracefully, !Task.isCancelled {
                do {
                    let events = try await alerts.bucket.watch(">", bufferLimit: 65_536)
                    state.withLock { $0 = State() }
                    for await event in events.cancelOnGracefulShutdown() {
                        apply(event)
                        failures = 0
                    }
                } catch {
                    logger.warning("cannot follow the alerts", metadata: ["error": "\(error)"])
                }
                failures += 1
                let delay = policy.delay(afterFailures: failures)
                try await cancelWhenGracefulShutdown { try await Task.sleep(for: delay) }
            }
        } catch is CancellationError {
            return
        }
    }

    private func apply(_ event: KeyValueEvent) {
        switch event {
        case .entry(let entry):
            // What a rule left behind that no longer exists fires for nobody.
            guard rules[AlertStore.rule(ofKey: entry.key)] != nil else { return }
            let count = state.withLock { state in
                state.firing[entry.key] = incident(entry)
                return state.firing.count
            }
            NotifierMetrics.recordFiring(count)
        case .caughtUp: state.withLock { $0.isComplete = true }
        case .lost(let count):
            logger.warning("alerts changed faster than they were followed", metadata: ["count": "\(count)"])
        }
    }

    private func incident(_ entry: KeyValueEntry) -> AlertState.Incident? {
        guard entry.operation == .put, let json = try? JSONValue(parsing: entry.value),
            case .firing(let incident)? = AlertState(json: json)?.phase
        else { return nil }
        return incident
    }
}
