package import EventBus
package import Events
package import GatewayWire
internal import JSON

/// What the gateway asks of the bus for a client: to publish, to call a service, to ask a hook. Each error is one that
/// the client may see.
package struct ChannelBackend: Sendable {
    private let bus: any EventBus
    private let subjects: Subjects
    private let namespaces: NamespaceTable
    /// How long a service may take to answer.
    private let callTimeout: Duration
    private let hookTimeout: Duration

    package init(
        bus: any EventBus, subjects: Subjects, namespaces: NamespaceTable, callTimeout: Duration = .seconds(10),
        hookTimeout: Duration = .seconds(5)
    ) {
        self.bus = bus
        self.subjects = subjects
        self.namespaces = namespaces
        self.callTimeout = callTimeout
        self.hookTimeout = hookTimeout
    }

    /// Publishes for a client. Returns when the message is stored, on channels with history.
    package func publish(
        _ payload: [UInt8], on channel: ChannelName, by publisher: ClientInfo, _ caller: Caller
    ) async throws(ClientFailure) {
        var message = BusMessage(subject: subjects.channel(channel), payload: payload)
        caller.write(to: &message.headers)
        if let info = publisher.info { message.headers[ChannelHeader.info] = info.description }
        _ = try await publish(message, in: channel.namespace)
    }

    /// Publishes for a backend, as the server API does.
    /// - Returns: the message's offset on channels with history.
    package func publish(
        _ payload: [UInt8], on channel: ChannelName, event: String?, idempotencyKey: String?
    ) async throws(ClientFailure) -> UInt64? {
        var message = BusMessage(subject: subjects.channel(channel), payload: payload)
        message.headers[HeaderName.event] = event
        message.headers[HeaderName.messageID] = idempotencyKey
        return try await publish(message, in: channel.namespace)
    }

    private func publish(_ message: BusMessage, in namespace: String) async throws(ClientFailure) -> UInt64? {
        do throws(BusError) {
            if namespaces[namespace]?.history != nil { return try await bus.append(message).sequence }
            try bus.publish(message)
            return nil
        } catch {
            throw ChannelBackend.failure(error, "the message could not be stored")
        }
    }

    /// Calls the service that answers `method`.
    /// - Returns: the result as JSON text on one line.
    package func call(
        _ method: String, _ parameters: [UInt8], _ caller: Caller, headers: BusHeaders = [:]
    ) async throws(ClientFailure) -> [UInt8] {
        guard ChannelBackend.isMethod(method) else { throw .methodNotFound }
        let reply = try await request(
            subjects.rpc(method), parameters, caller, headers, callTimeout, nobody: "no service answers \(method)")
        guard let value = reply["result"] else { throw ChannelBackend.failure(in: reply) }
        return value.serialized()
    }

    /// Asks whether the caller may subscribe.
    package func mayJoin(_ channel: ChannelName, _ caller: Caller) async throws(ClientFailure) {
        _ = try await ask(.subscribe, channel, caller, [:])
    }

    /// Asks whether the caller may publish.
    /// - Returns: the payload, which the hook may have replaced.
    package func mayPublish(
        _ payload: [UInt8], on channel: ChannelName, _ caller: Caller
    ) async throws(ClientFailure) -> [UInt8] {
        guard let data = try? JSONValue(parsing: payload) else { throw .badRequest("the payload is not JSON") }
        let result = try await ask(.publish, channel, caller, ["data": data])
        return result["data"]?.serialized() ?? payload
    }

    private func ask(
        _ hook: Subjects.Hook, _ channel: ChannelName, _ caller: Caller, _ more: JSONObject
    ) async throws(ClientFailure) -> JSONValue {
        var question: JSONObject = ["channel": .string(channel.description)]
        question["user"] = caller.user.map { .string($0) }
        question["client"] = caller.client.map { .string($0) }
        let reply = try await request(
            subjects.hook(hook, namespace: channel.namespace), JSONValue.object(question.merging(more)).serialized(),
            caller, [:], hookTimeout, nobody: "the service that decides about \(channel.namespace): channels is away")
        guard let result = reply["result"] else { throw ChannelBackend.failure(in: reply) }
        return result
    }

    private func request(
        _ subject: String, _ payload: [UInt8], _ caller: Caller, _ headers: BusHeaders, _ timeout: Duration,
        nobody: String
    ) async throws(ClientFailure) -> JSONValue {
        var message = BusMessage(subject: subject, headers: headers, payload: payload)
        caller.write(to: &message.headers)
        let reply: BusMessage
        do throws(BusError) {
            reply = try await bus.request(message, timeout: timeout)
        } catch {
            throw ChannelBackend.failure(error, error.code == .noResponders ? nobody : "the service did not answer")
        }
        guard let value = try? JSONValue(parsing: reply.payload), value.objectValue != nil else {
            throw .unavailable("the service gave an answer that cannot be read")
        }
        return value
    }

    /// The error of a reply; codes are those of HTTP.
    private static func failure(in reply: JSONValue) -> ClientFailure {
        guard let code = reply["error"]?["code"]?.integerValue.flatMap({ UInt32(exactly: $0) }) else {
            return .unavailable("the service gave an answer that cannot be read")
        }
        let message = reply["error"]?["message"]?.stringValue ?? "error \(code)"
        return ClientFailure(code: code, message: message, isTemporary: [429, 503, 504].contains(code))
    }

    private static func failure(_ error: BusError, _ message: String) -> ClientFailure {
        switch error.code {
        case .payloadTooLarge:
            ClientFailure(code: ClientFailure.limitExceeded.code, message: "the message is too large")
        case .conflict, .invalidArgument: .badRequest(message)
        default: .unavailable(message)
        }
    }

    /// Letters, digits, `_`, `-` and single dots between them: nothing that could reach another subject.
    private static func isMethod(_ method: String) -> Bool {
        !method.isEmpty && method.utf8.count <= 200 && SubjectToken.encode(method) == method
            && !method.split(separator: ".", omittingEmptySubsequences: false).contains(where: \.isEmpty)
    }
}
