package import EventBus
package import Events
package import GatewayWire
internal import JSON

/// What the gateway asks of the bus for a client: to publish, to call a service, to ask a hook. Each error is one that
/// the client may see.
package struct ChannelBackend: Sendable {
    let bus: any EventBus
    let subjects: Subjects
    private let namespaces: NamespaceTable
    /// How long a service may take to answer.
    private let callTimeout: Duration
    let hookTimeout: Duration
    private let calls = CallLatencies(label: "apus_gateway_rpc_seconds")
    let subscribeHooks = CallLatencies(label: "apus_gateway_hook_seconds", dimensions: [("hook", "subscribe")])
    let publishHooks = CallLatencies(label: "apus_gateway_hook_seconds", dimensions: [("hook", "publish")])
    /// Makes ids that no two messages share.
    private let makeMessageID: @Sendable () -> String

    package init(
        bus: any EventBus, subjects: Subjects, namespaces: NamespaceTable, callTimeout: Duration = .seconds(10),
        hookTimeout: Duration = .seconds(5), makeMessageID: @escaping @Sendable () -> String
    ) {
        self.bus = bus
        self.subjects = subjects
        self.namespaces = namespaces
        self.callTimeout = callTimeout
        self.hookTimeout = hookTimeout
        self.makeMessageID = makeMessageID
    }

    /// Publishes for a client. Returns when the message is stored, on channels with history: an attempt whose outcome is
    /// unknown is repeated under the same id within the call's time, so that it is stored once.
    package func publish(
        _ payload: [UInt8], event: String = "message", messageID: String? = nil, on channel: ChannelName,
        by publisher: ClientInfo, _ caller: Caller, excludesPublisher: Bool = false, trace: TraceContext? = nil
    ) async throws(ClientFailure) {
        var message = BusMessage(subject: subjects.channel(channel), payload: payload)
        ChannelBackend.write(caller, trace, to: &message.headers)
        if event != "message" { message.headers[HeaderName.event] = event }
        if excludesPublisher { message.headers[HeaderName.exclude] = caller.client }
        if let info = publisher.info { message.headers[ChannelHeader.info] = info.description }
        // Under the publisher's own name: nobody can take another's id and so keep its message from being stored.
        message.headers[HeaderName.messageID] = messageID.map {
            let owner = caller.user.map { "user:\($0)" } ?? "client:\(caller.client ?? "")"
            return "\(SubjectToken.encode(owner))/\(SubjectToken.encode($0))"
        }
        _ = try await publish(message, in: channel.namespace)
    }

    /// Publishes for a backend, as the server API does.
    /// - Returns: the message's offset on channels with history.
    package func publish(
        _ payload: [UInt8], on channel: ChannelName, _ options: BackendPublication
    ) async throws(ClientFailure) -> UInt64? {
        var message = BusMessage(subject: subjects.channel(channel), payload: payload)
        ChannelBackend.write(nil, options.trace, to: &message.headers)
        message.headers[HeaderName.event] = options.event
        if !options.tags.isEmpty {
            message.headers[ChannelHeader.tags] =
                JSONValue.object(JSONObject(options.tags.map { ($0.key, .string($0.value)) })).description
        }
        // A key is a channel's own; the stream that compares them holds many channels.
        message.headers[HeaderName.messageID] = options.idempotencyKey.map {
            "api/\(SubjectToken.encode(channel.description))/\(SubjectToken.encode($0))"
        }
        guard options.skipsHistory, namespaces[channel.namespace]?.history != nil else {
            return try await publish(message, in: channel.namespace)
        }
        // Where stored messages appear: those who are there get it, and no stream takes it.
        message.subject = subjects.live(channel)
        do throws(BusError) {
            try bus.publish(message)
        } catch {
            throw ChannelBackend.failure(error, "the message could not be sent")
        }
        return nil
    }

    private func publish(_ message: BusMessage, in namespace: String) async throws(ClientFailure) -> UInt64? {
        do throws(BusError) {
            if namespaces[namespace]?.history != nil { return try await append(message).sequence }
            try bus.publish(message)
            return nil
        } catch {
            throw ChannelBackend.failure(error, "the message could not be stored")
        }
    }

    /// Appends; when no answer came, it may have been stored, and the same id makes another attempt harmless.
    private func append(_ message: BusMessage) async throws(BusError) -> AppendReceipt {
        var message = message
        if message.headers[HeaderName.messageID] == nil { message.headers[HeaderName.messageID] = makeMessageID() }
        let deadline = ContinuousClock.now.advanced(by: callTimeout)
        var delay = Duration.milliseconds(100)
        while true {
            do throws(BusError) {
                return try await bus.append(message)
            } catch {
                guard error.code == .timeout || error.code == .notConnected,
                    ContinuousClock.now.advanced(by: delay) < deadline, !Task.isCancelled,
                    (try? await Task.sleep(for: delay)) != nil
                else { throw error }
                delay = min(delay * 2, .seconds(1))
            }
        }
    }

    /// Removes what the channel's history holds; see ``HistoryRemoval``.
    package func removeHistory(of channel: ChannelName) async throws(ClientFailure) {
        guard let history = namespaces[channel.namespace]?.history else { throw .notAvailable }
        try await HistoryRemoval(channel, history, bus: bus, subjects: subjects).run()
    }

    /// Calls the service that answers `method`.
    /// - Returns: the result as JSON text on one line.
    package func call(
        _ method: String, _ parameters: [UInt8], _ caller: Caller, trace: TraceContext? = nil
    ) async throws(ClientFailure) -> [UInt8] {
        guard ChannelBackend.isMethod(method) else { throw .methodNotFound }
        let reply = try await request(
            subjects.rpc(method), parameters, caller, trace, callTimeout, calls, nobody: "no service answers \(method)")
        guard let value = reply["result"] else { throw ChannelBackend.failure(in: reply) }
        return value.serialized()
    }

    func request(
        _ subject: String, _ payload: [UInt8], _ caller: Caller, _ trace: TraceContext?, _ timeout: Duration,
        _ latencies: CallLatencies, nobody: String
    ) async throws(ClientFailure) -> JSONValue {
        var message = BusMessage(subject: subject, payload: payload)
        ChannelBackend.write(caller, trace, to: &message.headers)
        let start = ContinuousClock.now
        let reply: BusMessage
        do throws(BusError) {
            reply = try await bus.request(message, timeout: timeout)
        } catch {
            latencies.record(CallLatencies.Outcome(error), since: start)
            throw ChannelBackend.failure(error, error.code == .noResponders ? nobody : "the service did not answer")
        }
        guard let value = try? JSONValue(parsing: reply.payload), value.objectValue != nil else {
            latencies.record(.unreadable, since: start)
            throw ChannelBackend.unreadable
        }
        latencies.record(CallLatencies.Outcome(reply: value), since: start)
        return value
    }

    static func write(_ caller: Caller?, _ trace: TraceContext?, to headers: inout BusHeaders) {
        caller?.write(to: &headers)
        guard let trace else { return }
        headers[HeaderName.traceParent] = trace.parent
        headers[HeaderName.traceState] = trace.state
    }

    static let unreadable = ClientFailure.unavailable("the service gave an answer that cannot be read")

    /// The error of a reply; codes are those of HTTP.
    static func failure(in reply: JSONValue) -> ClientFailure {
        guard let code = reply["error"]?["code"]?.integerValue.flatMap({ UInt32(exactly: $0) }) else {
            return unreadable
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
