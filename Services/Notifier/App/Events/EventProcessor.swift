package import EventBus
package import Events
internal import Logging
internal import NotifierCore
internal import ServiceLifecycle

/// Takes events from the stream, does what the rules decide, and only then acknowledges.
///
/// An event is delivered at least once and each step can be done again without a second effect, so that a process may
/// die anywhere. Events of one user or one alert are handled in the order of the stream, others at the same time; one that
/// had to be put off, since the bus was away, comes after those that followed it. An event that cannot be handled goes to the dead letters with the reason, and stops nothing.
package struct EventProcessor: Service {
    let bus: any EventBus
    let subjects: Subjects
    let rules: RuleBook
    let runner: StepRunner
    let deadLetters: DeadLetters
    let logger: Logger
    /// Makes stream and consumer; called again when somebody deleted them.
    let prepare: @Sendable () async throws -> any BusConsumer

    /// How long a delivered event may stay unanswered: so long does a killed notifier's work wait for another.
    package static let acknowledgementWait = Duration.seconds(10)
    private static let batchSize = 64
    private static let fetchWait = Duration.seconds(5)

    /// The durable consumer that all notifiers of a deployment share.
    package static func consumer(_ subjects: Subjects) -> ConsumerSpecification {
        ConsumerSpecification(
            stream: subjects.eventsStream, name: "notifier", acknowledgementWait: acknowledgementWait)
    }

    package func run() async throws {
        do {
            while !Task.isShuttingDownGracefully, !Task.isCancelled {
                let consumer = try await cancelWhenGracefulShutdown { try await prepare() }
                try await process(consumer)
            }
        } catch is CancellationError {
            return
        }
    }

    /// Until shutdown, or until the consumer is gone.
    private func process(_ consumer: any BusConsumer) async throws {
        var failures = 0
        while !Task.isShuttingDownGracefully, !Task.isCancelled {
            do {
                let deliveries = try await cancelWhenGracefulShutdown {
                    try await consumer.fetch(Self.batchSize, wait: Self.fetchWait)
                }
                failures = 0
                await process(deliveries)
            } catch let error as BusError {
                failures += 1
                logger.warning("cannot fetch events", metadata: ["error": "\(error)"])
                if error.code == .closed { throw CancellationError() }
                let delay = runner.policy.delay(afterFailures: failures)
                try await cancelWhenGracefulShutdown { try await Task.sleep(for: delay) }
                if error.code == .notFound { return }
            }
        }
    }

    // MARK: A batch

    /// Does all that is to be done about the deliveries and answers each of them.
    package func process(_ deliveries: [Delivery]) async {
        guard !deliveries.isEmpty else { return }
        let tickets = deliveries.map(decide)
        await keepingHold(of: deliveries) {
            var results: [[EventStep.Result]] = Array(repeating: [], count: tickets.count)
            await withTaskGroup(of: [(ticket: Int, result: EventStep.Result)].self) { group in
                for lane in Self.lanes(tickets) { group.addTask { await runner.run(lane: lane) } }
                for await outcome in group {
                    for (ticket, result) in outcome { results[ticket].append(result) }
                }
            }
            for (ticket, results) in zip(tickets, results) { await settle(ticket, results) }
        }
    }

    /// An event of the batch: what is to be done about it, or why nothing can.
    private struct Ticket: Sendable {
        let delivery: Delivery
        let eventType: String
        var actions: [EventStep.Action] = []
        var isMatched = false
        var problems: [String] = []
    }

    private func decide(_ delivery: Delivery) -> Ticket {
        let type = subjects.eventType(ofSubject: delivery.message.subject) ?? delivery.message.subject
        var ticket = Ticket(delivery: delivery, eventType: type)
        if delivery.attempt > runner.policy.deliveries {
            ticket.problems = ["not handled in \(delivery.attempt - 1) deliveries"]
            return ticket
        }
        do throws(IncomingEventError) {
            let decision = rules.decide(try EventReader(subjects: subjects).read(delivery))
            ticket.isMatched = decision.isMatched
            ticket.problems = decision.failures.map(\.description)
            ticket.actions = decision.notices.map { .deliver($0) } + decision.signals.map { .alert($0) }
        } catch {
            ticket.problems = [error.description]
        }
        return ticket
    }

    private static func lanes(_ tickets: [Ticket]) -> [[EventStep]] {
        var order: [String] = []
        var lanes: [String: [EventStep]] = [:]
        for (index, ticket) in tickets.enumerated() {
            var headers = BusHeaders()
            for name in [HeaderName.traceParent, HeaderName.traceState] {
                headers[name] = ticket.delivery.message.headers[name]
            }
            for action in ticket.actions {
                let step = EventStep(
                    action: action, ticket: index, attempt: ticket.delivery.attempt, headers: headers)
                let lane = step.lane
                if lanes[lane] == nil { order.append(lane) }
                lanes[lane, default: []].append(step)
            }
        }
        return order.compactMap { lanes[$0] }
    }

    // MARK: Answers

    /// Acknowledges an event that is done with, after what could not be done of it is among the dead letters.
    private func settle(_ ticket: Ticket, _ results: [EventStep.Result]) async {
        guard !results.contains(.postponed) else { return await postpone(ticket) }
        var problems = ticket.problems
        for case .failed(let reason) in results { problems.append(reason) }
        if !problems.isEmpty {
            let reason = problems.joined(separator: "; ")
            let recorded = await runner.patiently {
                try await deadLetters.record(
                    ticket.delivery.message, kind: .event, name: ticket.eventType, reason: reason,
                    attempts: ticket.delivery.attempt)
            }
            guard recorded == .done else { return await postpone(ticket) }
            logger.warning(
                "event put to the dead letters",
                metadata: [
                    "event.type": "\(ticket.eventType)", "event.sequence": "\(ticket.delivery.sequence)",
                    "reason": "\(reason)",
                ])
            NotifierMetrics.count(.dead)
        } else {
            NotifierMetrics.count(ticket.isMatched ? .handled : .unmatched)
        }
        do {
            try await ticket.delivery.acknowledge()
        } catch {
            // It comes again then, and is found to be done.
            logger.debug("event not acknowledged", metadata: ["error": "\(error)"])
        }
    }

    private func postpone(_ ticket: Ticket) async {
        NotifierMetrics.count(.postponed)
        let delay: Duration =
            Task.isShuttingDownGracefully
            ? .zero : runner.policy.redelivery(afterAttempt: ticket.delivery.attempt)
        logger.warning(
            "event put off",
            metadata: [
                "event.type": "\(ticket.eventType)", "event.sequence": "\(ticket.delivery.sequence)",
                "delay": "\(DurationText.format(delay))",
            ])
        // Unanswered it comes again after the acknowledgement wait.
        try? await ticket.delivery.retry(after: delay)
    }

    /// Keeps the deliveries from being given to another notifier while `operation` takes its time.
    private func keepingHold(
        of deliveries: [Delivery], _ operation: @escaping @Sendable () async -> Void
    ) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                while true {
                    do { try await Task.sleep(for: Self.acknowledgementWait / 3) } catch { return }
                    // One that is answered already, or a server that is away: both need nothing.
                    for delivery in deliveries { try? await delivery.extend() }
                }
            }
            group.addTask { await operation() }
            _ = await group.next()
            group.cancelAll()
        }
    }
}
