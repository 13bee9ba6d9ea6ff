internal import EventBus
internal import Logging
internal import NotifierCore
internal import ServiceLifecycle

/// Does the steps of events, with patience for the bus.
package struct StepRunner: Sendable {
    let bus: any EventBus
    let delivery: NotificationDelivery
    let alerts: AlertStore
    let policy: RetryPolicy
    let logger: Logger

    /// Steps of one lane, in order. When one has to be put off, so have those after it, which it must not be overtaken by.
    func run(lane: [EventStep]) async -> [(ticket: Int, result: EventStep.Result)] {
        var results: [(ticket: Int, result: EventStep.Result)] = []
        var isBlocked = false
        for step in lane {
            let result = isBlocked ? .postponed : await run(step)
            if result == .postponed { isBlocked = true }
            results.append((step.ticket, result))
        }
        return results
    }

    private func run(_ step: EventStep) async -> EventStep.Result {
        // A second delivery, or a second try, may follow one that got further than anybody was told.
        var isFirst = step.attempt == 1
        return await patiently {
            defer { isFirst = false }
            try await perform(step, mayBePublished: !isFirst)
        }
    }

    private func perform(_ step: EventStep, mayBePublished: Bool) async throws {
        switch step.action {
        case .deliver(let notice):
            let outcome = try await delivery.deliver(notice, headers: step.headers, mayBePublished: mayBePublished)
            NotifierMetrics.count(outcome, type: notice.notification.type)
        case .alert(let signal):
            let change = try await alerts.apply(signal)
            NotifierMetrics.count(change.outcome, rule: signal.rule.name)
            guard !change.outbox.isEmpty else { return }
            for notice in change.outbox {
                let isFresh = change.fresh.contains(notice.notification.id) && !mayBePublished
                let outcome = try await delivery.deliver(notice, headers: step.headers, mayBePublished: !isFresh)
                NotifierMetrics.count(outcome, type: notice.notification.type)
            }
            try await alerts.published(Set(change.outbox.map(\.notification.id)), of: signal)
        }
    }

    /// Runs `operation` until it succeeds, turns out to be hopeless, or has to be put off: since it was tried often enough
    /// or the service is stopping. While no server can be reached, tries are not counted: nothing else could be done then.
    func patiently(_ operation: () async throws -> Void) async -> EventStep.Result {
        var failures = 0
        while true {
            do {
                try await operation()
                return .done
            } catch let failure as RuleFailure {
                return .failed(failure.description)
            } catch let document as UnreadableDocument {
                return .failed(document.description)
            } catch let error as BusError {
                if error.isRetryable, !bus.isConnected {
                    failures = max(failures, 1)
                } else {
                    failures += 1
                    if error.isRetryable, failures >= policy.attempts { return .postponed }
                    if !error.isRetryable, failures >= policy.hopelessAttempts { return .failed(error.description) }
                }
                NotifierMetrics.countRetry()
                logger.debug("step failed, trying again", metadata: ["error": "\(error)"])
            } catch is CancellationError {
                return .postponed
            } catch {
                return .failed("internal error (\(type(of: error)))")
            }
            do {
                let delay = policy.delay(afterFailures: failures)
                try await cancelWhenGracefulShutdown { try await Task.sleep(for: delay) }
            } catch {
                return .postponed
            }
        }
    }
}
