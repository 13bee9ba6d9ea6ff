package import EventBus
internal import Events
internal import Logging
internal import NotifierCore
public import ServiceKit
public import ServiceLifecycle

/// Builds the notifier: what its program runs and what tests run on a bus in memory.
@Sendable public func buildNotifier(
    _ configuration: NotifierConfiguration, _ context: ServiceContext
) async throws -> [any Service] {
    [NotifierService(configuration: configuration, context: context)]
}

/// The whole notifier: waits for the bus, makes what it needs there, then handles events and answers calls.
package struct NotifierService: Service {
    let configuration: NotifierConfiguration
    let context: ServiceContext
    let policy: RetryPolicy
    let clock: any BusClock

    package init(
        configuration: NotifierConfiguration, context: ServiceContext, policy: RetryPolicy = RetryPolicy(),
        clock: any BusClock = SystemBusClock()
    ) {
        self.configuration = configuration
        self.context = context
        self.policy = policy
        self.clock = clock
    }

    package func run() async throws {
        context.readiness.set("events", false)
        let parts: NotifierParts
        do {
            parts = try await cancelWhenGracefulShutdown {
                try await context.untilAvailable("inboxes and alerts") {
                    try await NotifierParts(
                        configuration: configuration, context: context, policy: policy, clock: clock)
                }
            }
        } catch is CancellationError {
            return
        }
        context.logger.info("notifier ready", metadata: ["rules": "\(configuration.rules.rules.count)"])
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await parts.processor.run() }
            group.addTask { try await parts.alertIndex.run() }
            group.addTask { try await cancelWhenGracefulShutdown { try await parts.calls.run() } }
            // Each ends by itself at shutdown; one that ends by an error takes the others along.
            do {
                try await group.waitForAll()
            } catch is CancellationError {
                return
            }
        }
    }
}

/// The notifier's parts over one bus.
package struct NotifierParts: Sendable {
    package let processor: EventProcessor
    package let alertIndex: AlertIndex
    package let calls: MicroService
    package let inboxes: InboxStore

    package init(
        configuration: NotifierConfiguration, context: ServiceContext, policy: RetryPolicy, clock: any BusClock
    ) async throws {
        let (bus, subjects, logger) = (context.bus, context.subjects, context.logger)
        inboxes = InboxStore(
            bucket: try await bus.keyValue(InboxStore.bucket(subjects)), limits: configuration.inboxLimits)
        let alerts = AlertStore(bucket: try await bus.keyValue(AlertStore.bucket(subjects)))
        let delivery = NotificationDelivery(inboxes: inboxes, bus: bus, subjects: subjects)
        let deadLetters = DeadLetters(bus: bus, subjects: subjects)
        processor = EventProcessor(
            bus: bus, subjects: subjects, rules: configuration.rules,
            runner: StepRunner(bus: bus, delivery: delivery, alerts: alerts, policy: policy, logger: logger),
            deadLetters: deadLetters, logger: logger,
            prepare: {
                context.readiness.set("events", false)
                let consumer = try await context.untilAvailable("events") {
                    try await deadLetters.ensureStream()
                    try await bus.ensureStream(.events(subjects))
                    return try await bus.consumer(EventProcessor.consumer(subjects))
                }
                context.readiness.set("events", true)
                return consumer
            })
        alertIndex = AlertIndex(alerts: alerts, rules: configuration.rules, policy: policy, logger: logger)
        calls = MicroService(
            name: context.name, version: context.version,
            description: "Tells people what happened: notifications, inboxes, alerts", bus: bus, subjects: subjects,
            logger: logger, clock: clock)
        NotificationCalls(
            inboxes: inboxes, delivery: delivery,
            publisher: ChannelPublisher(bus: bus, subjects: subjects), clock: clock, makeID: { MicroService.makeID() },
            logger: logger
        ).register(on: calls)
        AlertCalls(index: alertIndex).register(on: calls)
    }
}
