package import EventBus
package import Events
package import GatewayWire
internal import JSON

/// What services are asked about the channels of a namespace whose rule is `hook`, and what they are told.
extension ChannelBackend {
    /// Asks whether the caller may subscribe, or may stay subscribed.
    /// - Parameter data: what the client sent along, as JSON text.
    package func mayJoin(
        _ channel: ChannelName, _ caller: Caller, data: [UInt8]? = nil, isRenewal: Bool = false,
        trace: TraceContext? = nil
    ) async throws(ClientFailure) -> SubscribeGrant {
        var more: JSONObject = [:]
        more["data"] = data.flatMap { try? JSONValue(parsing: $0) }
        if isRenewal { more["renewal"] = true }
        let result = try await ask(.subscribe, channel, caller, trace, more)
        guard let grant = SubscribeGrant(result) else { throw ChannelBackend.unreadable }
        return grant
    }

    /// Asks whether the caller may publish.
    package func mayPublish(
        _ command: PublishCommand, on channel: ChannelName, _ caller: Caller, trace: TraceContext? = nil
    ) async throws(ClientFailure) -> PublishGrant {
        guard let data = try? JSONValue(parsing: command.payload) else { throw .badRequest("the payload is not JSON") }
        let result = try await ask(
            .publish, channel, caller, trace, ["event": .string(command.event), "data": data])
        guard let grant = PublishGrant(result, command) else { throw ChannelBackend.unreadable }
        return grant
    }

    /// Tells whoever listens that a subscription which the hook admitted has ended. Not a question: nobody need answer, and
    /// one that is lost is not repeated.
    package func tellLeft(_ channel: ChannelName, _ caller: Caller, reason: LeaveReason) {
        var notice = ChannelBackend.question(channel, caller)
        notice["reason"] = .string(reason.rawValue)
        var message = BusMessage(
            subject: subjects.hook(.leave, namespace: channel.namespace), payload: JSONValue.object(notice).serialized()
        )
        caller.write(to: &message.headers)
        // While the bus is away it keeps messages up to a bound; beyond it services see the gateway's end, not each leave.
        try? bus.publish(message)
    }

    private static func question(_ channel: ChannelName, _ caller: Caller) -> JSONObject {
        var question: JSONObject = ["channel": .string(channel.description)]
        question["user"] = caller.user.map { .string($0) }
        question["client"] = caller.client.map { .string($0) }
        return question
    }

    private func ask(
        _ hook: Subjects.Hook, _ channel: ChannelName, _ caller: Caller, _ trace: TraceContext?, _ more: JSONObject
    ) async throws(ClientFailure) -> JSONValue {
        let question = ChannelBackend.question(channel, caller).merging(more)
        let reply = try await request(
            subjects.hook(hook, namespace: channel.namespace), JSONValue.object(question).serialized(),
            caller, trace, hookTimeout, hook == .publish ? publishHooks : subscribeHooks,
            nobody: "the service that decides about \(channel.namespace): channels is away")
        // A refusal counts, whatever else stands in the answer.
        if let error = reply["error"], !error.isNull { throw ChannelBackend.failure(in: reply) }
        guard let result = reply["result"] else { throw ChannelBackend.failure(in: reply) }
        return result
    }
}
