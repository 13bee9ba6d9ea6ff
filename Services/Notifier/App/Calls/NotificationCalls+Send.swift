internal import EventBus
internal import Events
internal import JSON
internal import NotifierCore

extension NotificationCalls {
    /// Which members of a call are not fields of the notification that it sends.
    private static let parameterNames: Set<String> = ["user", "channel", "id", "type", "title", "message"]

    /// Sends a notification that no event is the cause of.
    ///
    /// With an `id` of the caller's the call may be made again when no answer came; the same is not sent twice.
    func send(_ request: RPCRequest) async throws -> JSONValue {
        guard request.caller.has(role: "notifier") || request.caller.has(role: "admin") else {
            throw RPCError(403, "sending notifications takes the role notifier or admin")
        }
        let channel = try recipient(request)
        let ownID = try request.optional("id", "a text of 1 to 200 bytes", \.shortText)
        let notification = Notification(
            id: ownID.map { StableID.derive("sent", channel.description, $0) } ?? makeID(),
            type: try request.required("type", "a text of 1 to 64 bytes") {
                $0.shortText.flatMap { $0.utf8.count <= 64 ? $0 : nil }
            },
            title: try request.optional("title", "a text", \.stringValue),
            message: try request.required("message", "a text", \.stringValue), createdAt: clock.now,
            fields: JSONObject(
                (request.parameters.objectValue ?? [:]).lazy
                    .filter { !Self.parameterNames.contains($0.key) }.map { ($0.key, $0.value) }))
        guard JSONValue.object(notification.json).serialized().count <= Notification.maximumBytes else {
            throw RPCError(400, "a notification has at most \(Notification.maximumBytes) bytes")
        }
        let outcome = try await unavailableIfBusIs {
            try await delivery.deliver(
                AddressedNotification(channel: channel, notification: notification), mayBePublished: ownID != nil)
        }
        var answer: JSONObject = ["id": .string(notification.id), "delivered": .bool(outcome != .muted)]
        if outcome == .muted { answer["reason"] = "the user has muted this type" }
        return .object(answer)
    }

    private func recipient(_ request: RPCRequest) throws(RPCError) -> ChannelName {
        let user = try request.optional("user", "a user's id") { value in
            value.shortText ?? value.integerValue.map { String($0) }
        }
        let channel = try request.optional("channel", "a channel's name", \.stringValue)
        do {
            switch (user, channel) {
            case (let user?, nil): return try ChannelName(namespace: "user", name: user)
            case (nil, let channel?): return try ChannelName(channel)
            default: throw RPCError(400, "either user or channel says who gets the notification")
            }
        } catch let error as ChannelName.Invalid {
            throw RPCError(400, error.description)
        } catch let error as RPCError {
            throw error
        } catch {
            throw RPCError(500, "internal error")
        }
    }
}

extension JSONValue {
    fileprivate var shortText: String? {
        stringValue.flatMap { (1...200).contains($0.utf8.count) ? $0 : nil }
    }
}
