import EventBus
import Events
import JSON
import Logging
import NotifierApp
import NotifierCore
import ServiceKit
import TestKit

/// The notifier's parts over a bus in memory, driven by hand: time stands still until a test moves it.
struct NotifierHarness {
    let bus: MemoryBus
    let clock: ManualClock
    let subjects = Subjects.standard

    init() async throws {
        clock = ManualClock()
        bus = MemoryBus(clock: clock)
        try await bus.ensureStream(.events(subjects))
        try await DeadLetters(bus: bus, subjects: subjects).ensureStream()
    }

    static let patience = RetryPolicy(
        attempts: 1, hopelessAttempts: 1, firstDelay: .milliseconds(1), longestDelay: .milliseconds(1))

    /// A notifier; `bus` is what it works on, for a test that puts a faulty one in.
    func parts(
        rules: RuleBook = RuleBook(rules: BuiltInRules.all), on bus: (any EventBus)? = nil,
        limits: NotifierCore.Inbox.Limits = NotifierCore.Inbox.Limits(), policy: RetryPolicy = Self.patience
    ) async throws -> NotifierParts {
        let context = ServiceContext(name: "apus-notifier", bus: bus ?? self.bus, logger: silent)
        return try await NotifierParts(
            configuration: NotifierConfiguration(rules: rules, inboxLimits: limits), context: context, policy: policy,
            clock: clock)
    }

    func publish(_ type: String, _ fields: JSONValue, headers: BusHeaders = [:]) async throws {
        try await publish(type, text: fields.description, headers: headers)
    }

    func publish(_ type: String, text: String, headers: BusHeaders = [:]) async throws {
        clock.advance(by: .seconds(1))
        try await bus.append(
            BusMessage(subject: subjects.event(type), headers: headers, payload: Array(text.utf8)))
    }

    /// Handles whatever is to be delivered now.
    @discardableResult
    func handle(_ parts: NotifierParts, on bus: (any EventBus)? = nil) async throws -> [Delivery] {
        let consumer = try await (bus ?? self.bus).consumer(EventProcessor.consumer(subjects))
        let deliveries = try await consumer.fetch(100, wait: .zero)
        await parts.processor.process(deliveries)
        return deliveries
    }

    /// Lets the time pass after which unanswered events come again.
    func passAcknowledgementWait() { clock.advance(by: EventProcessor.acknowledgementWait + .seconds(1)) }

    // MARK: What came out

    /// The payloads of the notifications on a channel, oldest first.
    func notifications(on channel: String, event: String = "notification") async throws -> [JSONValue] {
        try await messages(on: channel).filter { $0.headers[HeaderName.event] == event }
            .map { try JSONValue(parsing: $0.payload) }
    }

    /// Everything on a channel, oldest first.
    func messages(on channel: String) async throws -> [BusMessage] {
        let name = try ChannelName(channel)
        do throws(BusError) {
            return try await bus.messages(
                in: subjects.historyStream(namespace: name.namespace), subject: subjects.channel(name), after: 0,
                limit: 1000
            ).map(\.message)
        } catch {
            guard error.code == .notFound else { throw error }
            return []
        }
    }

    func deadLetters() async throws -> [BusMessage] {
        try await bus.messages(in: subjects.deadStream, subject: nil, after: 0, limit: 1000).map(\.message)
    }

    func inbox(_ user: String, _ parts: NotifierParts) async throws -> NotifierCore.Inbox {
        try await parts.inboxes.read(user).document
    }
}

let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
