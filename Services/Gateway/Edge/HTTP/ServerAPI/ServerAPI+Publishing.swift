internal import Events
internal import GatewaySession
internal import GatewayWire
internal import JSON

/// `publish` and `broadcast`.
///
/// An `idempotency_key` is one channel's own. Where the channel has history, a message with a key that the channel has
/// seen within two minutes is not stored again, and the answer is that of the first; elsewhere a gateway does not publish
/// again what it has published itself within that time.
extension ServerAPI {
    private struct Message: Sendable {
        let payload: [UInt8]
        let options: BackendPublication
    }

    func publish(_ parameters: APIParameters) async throws(ClientFailure) -> JSONValue {
        let channel = try parameters.channel("channel", in: services.policy)
        return try await publish(try message(parameters), on: channel.name)
    }

    func broadcast(_ parameters: APIParameters) async throws(ClientFailure) -> JSONValue {
        guard let channels = try parameters.strings("channels"), !channels.isEmpty else {
            throw .badRequest("channels is missing or empty")
        }
        let message = try message(parameters)
        // Each channel has its own outcome.
        let responses = await channels.concurrentMap(limit: ServerAPI.maximumConcurrency) { name -> JSONValue in
            do throws(ClientFailure) {
                let channel = try APIParameters.channel(name, in: services.policy)
                return ["result": try await publish(message, on: channel.name)]
            } catch {
                return ServerAPI.reply(error)
            }
        }
        return ["responses": .array(responses)]
    }

    private func message(_ parameters: APIParameters) throws(ClientFailure) -> Message {
        guard let data = try parameters.payload("data") else { throw .badRequest("data is missing") }
        var tags = try parameters.dictionary("tags")
        // Centrifugo has no events' names; there they travel as a tag.
        let event = try parameters.text("event") ?? tags["event"]
        tags["event"] = nil
        if let event, !BackendPublication.isEvent(event) {
            throw .badRequest("an event's name is a short text without control characters")
        }
        let key = try parameters.text("idempotency_key")
        if let key, !MessageKey.isValid(key) {
            throw .badRequest("idempotency_key has at most \(MessageKey.maximumLength) bytes")
        }
        return Message(
            payload: data.serialized(),
            options: BackendPublication(
                event: event, tags: tags, idempotencyKey: key,
                skipsHistory: try parameters.boolean("skip_history") ?? false, trace: trace))
    }

    private func publish(_ message: Message, on channel: ChannelName) async throws(ClientFailure) -> JSONValue {
        let isStored = services.policy.namespaces[channel.namespace]?.history != nil && !message.options.skipsHistory
        let key = isStored ? nil : message.options.idempotencyKey
        if let key, !keys.take(key, on: channel, now: services.clock.moment()) { return [:] }
        let offset: UInt64?
        do throws(ClientFailure) {
            offset = try await services.backend.publish(message.payload, on: channel, message.options)
        } catch {
            if let key { keys.giveBack(key, on: channel) }
            throw error
        }
        guard let offset else { return [:] }
        var result: JSONObject = ["offset": .integer(Int64(clamping: offset))]
        result["epoch"] = await services.hub.epoch(of: channel.namespace).map { .string($0) }
        return .object(result)
    }
}
