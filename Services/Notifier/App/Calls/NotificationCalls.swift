package import EventBus
internal import Events
internal import JSON
package import Logging
internal import NotifierCore

/// What clients can ask of their own inbox.
package struct NotificationCalls: Sendable {
    let inboxes: InboxStore
    let delivery: NotificationDelivery
    let publisher: ChannelPublisher
    let clock: any BusClock
    let makeID: @Sendable () -> String
    let logger: Logger

    static let defaultPageSize = 50
    static let maximumPageSize = 200
    static let maximumMutedTypes = 100

    package init(
        inboxes: InboxStore, delivery: NotificationDelivery, publisher: ChannelPublisher, clock: any BusClock,
        makeID: @escaping @Sendable () -> String, logger: Logger
    ) {
        self.inboxes = inboxes
        self.delivery = delivery
        self.publisher = publisher
        self.clock = clock
        self.makeID = makeID
        self.logger = logger
    }

    package func register(on service: MicroService) {
        service.rpc("notifications.list") { try await list($0) }
        service.rpc("notifications.mark_read") { try await markRead($0) }
        service.rpc("notifications.mark_all_read") { try await markAllRead($0) }
        service.rpc("notifications.preferences.get") { try await preferences($0) }
        service.rpc("notifications.preferences.set") { try await setPreferences($0) }
        service.rpc("notifications.send") { try await send($0) }
    }

    // MARK: Reading

    func list(_ request: RPCRequest) async throws -> JSONValue {
        let user = try request.user
        let limit = try request.optional("limit", "a whole number from 1 to \(Self.maximumPageSize)") {
            $0.integerValue.flatMap { (1...Int64(Self.maximumPageSize)).contains($0) ? Int($0) : nil }
        }
        let before = try request.optional("before", "a notification's id or a time", \.stringValue)
        let stored = try await unavailableIfBusIs { try await inboxes.read(user) }
        let page = stored.document.page(
            before: before.map { Inbox.Cursor($0) }, limit: limit ?? Self.defaultPageSize)
        var answer: JSONObject = [
            "notifications": .array(page.items.map(\.json)), "has_more": .bool(page.hasMore),
            "dropped": .integer(Int64(stored.document.dropped)),
        ]
        answer = answer.merging(stored.summary)
        return .object(answer)
    }

    // MARK: Marking

    func markRead(_ request: RPCRequest) async throws -> JSONValue {
        let user = try request.user
        let id = try request.required("id", "a notification's id", \.stringValue)
        let (marking, stored) = try await unavailableIfBusIs { try await inboxes.change(user) { $0.markRead(id) } }
        if marking == .unknown {
            throw RPCError(404, "there is no such notification; it may have fallen off the end of the inbox")
        }
        if marking == .marked { await tell(user, read: [id], stored) }
        return .object(stored.summary.merging(["changed": .bool(marking == .marked)]))
    }

    func markAllRead(_ request: RPCRequest) async throws -> JSONValue {
        let user = try request.user
        let upTo = try request.optional("up_to", "a notification's id or a time", \.stringValue)
        let (marked, stored) = try await unavailableIfBusIs {
            try await inboxes.change(user) { $0.markAllRead(upTo: upTo.map { Inbox.Cursor($0) }) }
        }
        if !marked.isEmpty { await tell(user, read: marked, stored) }
        return .object(stored.summary.merging(["marked": .integer(Int64(marked.count))]))
    }

    /// Tells the user's other windows. The inbox is changed already, so that a failure is not the caller's.
    private func tell(_ user: String, read ids: [String], _ stored: InboxStore.Versioned) async {
        let news: JSONObject = ["type": "notification_read", "ids": .array(ids.map { .string($0) })]
        await tell(user, event: "notification_read", news.merging(stored.summary), revision: stored.revision)
    }

    private func tell(_ user: String, event: String, _ news: JSONObject, revision: UInt64) async {
        guard let channel = try? ChannelName(namespace: "user", name: user) else { return }
        let payload = JSONValue.object(news).serialized()
        let messageID = StableID.derive(event, user, String(revision))
        var headers = BusHeaders()
        headers.describe(CloudEvent(id: messageID, source: NotificationDelivery.source, type: event, time: clock.now))
        for attempt in 1...3 {
            do {
                return try await publisher.publish(
                    payload, on: channel, event: event, messageID: messageID, headers: headers)
            } catch {
                guard attempt == 3 || !error.isRetryable else { continue }
                logger.warning("change of an inbox not published", metadata: ["error": "\(error)"])
                return
            }
        }
    }

    // MARK: Preferences

    func preferences(_ request: RPCRequest) async throws -> JSONValue {
        let user = try request.user
        let stored = try await unavailableIfBusIs { try await inboxes.read(user) }
        return .object(["muted": stored.document.mutedJSON])
    }

    func setPreferences(_ request: RPCRequest) async throws -> JSONValue {
        let user = try request.user
        let types = try request.required("muted", "a list of at most \(Self.maximumMutedTypes) types") { value in
            value.arrayValue.flatMap { elements -> Set<String>? in
                let types = elements.compactMap(\.stringValue).filter { (1...64).contains($0.utf8.count) }
                return types.count == elements.count && types.count <= Self.maximumMutedTypes ? Set(types) : nil
            }
        }
        let (isChanged, stored) = try await unavailableIfBusIs {
            try await inboxes.change(user) { inbox in
                defer { inbox.mute(types) }
                return inbox.mutedTypes != types
            }
        }
        let news: JSONObject = ["type": "notification_preferences", "muted": stored.document.mutedJSON]
        if isChanged {
            await tell(
                user, event: "notification_preferences", news.merging(stored.summary), revision: stored.revision)
        }
        return .object(["muted": stored.document.mutedJSON])
    }
}

extension Inbox {
    fileprivate var mutedJSON: JSONValue { .array(mutedTypes.sorted().map { .string($0) }) }
}
