package import EventBus
package import Events
package import JSON
package import Logging
internal import Synchronization

/// Requests that gateways make of one another, each at its own subject `apus.control.node.<node>`: what makes it the same
/// to which gateway a request of a client comes.
///
/// Thread-safe. ``run()`` must be running for others to be answered.
package final class NodeRequests: Sendable {
    /// Answers a request, by calling `reply` once, at any time and on any thread. Called on the bus's delivery thread: it
    /// must not block.
    package typealias Handler = @Sendable (_ body: JSONValue, _ reply: @escaping @Sendable (JSONValue) -> Void) -> Void

    package let node: String
    private let bus: any EventBus
    private let subjects: Subjects
    private let logger: Logger
    private let handlers = Mutex<[String: Handler]>([:])

    package init(node: String, bus: any EventBus, subjects: Subjects, logger: Logger) {
        self.node = node
        self.bus = bus
        self.subjects = subjects
        self.logger = logger
    }

    /// Has `handler` answer requests of this kind.
    package func serve(_ kind: String, _ handler: @escaping Handler) {
        handlers.withLock { $0[kind] = handler }
    }

    /// Asks another gateway.
    /// - Parameter node: its id: letters, digits and hyphens.
    /// - Throws: `noResponders` if it is gone, `timeout` if it does not answer in time.
    package func ask(
        _ node: String, _ kind: String, _ body: JSONValue, timeout: Duration
    ) async throws(BusError) -> JSONValue {
        let request: JSONValue = ["type": .string(kind), "body": body]
        let reply = try await bus.request(
            BusMessage(subject: subject(node), payload: request.serialized()), timeout: timeout)
        guard let value = try? JSONValue(parsing: reply.payload) else {
            throw BusError(.invalidArgument, "a gateway gave an answer that cannot be read")
        }
        return value
    }

    /// Listens until the task is cancelled.
    package func run() async throws {
        let subscription = try bus.subscribe(subject(node), queue: nil) { [self] message in answer(message) }
        defer { subscription.cancel() }
        while !Task.isCancelled { try? await Task.sleep(for: .seconds(3600)) }
    }

    private func answer(_ message: BusMessage) {
        guard let replyTo = message.replyTo, let request = try? JSONValue(parsing: message.payload),
            let kind = request["type"]?.stringValue, let handler = handlers.withLock({ $0[kind] })
        else {
            return logger.debug("a request of a gateway cannot be read or is of an unknown kind")
        }
        handler(request["body"] ?? .null) { [bus, logger] reply in
            do throws(BusError) {
                try bus.publish(BusMessage(subject: replyTo, payload: reply.serialized()))
            } catch {
                // Whoever asked sees that no answer comes.
                logger.debug("a gateway could not be answered", metadata: ["error": "\(error)"])
            }
        }
    }

    private func subject(_ node: String) -> String { subjects.control("node.\(SubjectToken.encode(node))") }
}
