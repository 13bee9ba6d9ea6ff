public import Events
internal import Synchronization

/// Publishes to channels for services: stored first where the channel's namespace has history, sent to whoever
/// listens now where it has none.
///
/// Works in whatever order services start: the stream of a built-in namespace is made with its built-in limits if the
/// gateway, which owns its configuration, has not made it yet.
public final class ChannelPublisher: Sendable {
    private let bus: any EventBus
    private let subjects: Subjects
    /// Namespaces found to have a stream. Only this answer is remembered: a missing stream may appear at any time.
    private let stored = Mutex<Set<String>>([])

    public init(bus: any EventBus, subjects: Subjects) {
        self.bus = bus
        self.subjects = subjects
    }

    /// Publishes `payload`, a JSON text, on `channel` as event `event`.
    ///
    /// Returns when a message for a channel with history is stored. With `messageID`, publishing the same again within
    /// the stream's duplicate window stores nothing new.
    /// - Parameter storing: false is for what matters to whoever listens now only, such as that somebody is typing: it is
    ///   sent without being stored, whatever the namespace has.
    /// - Throws: ``BusError``; a retryable one leaves it unknown whether the message was stored, so that a caller with a
    ///   `messageID` should try again.
    public func publish(
        _ payload: [UInt8], on channel: ChannelName, event: String = "message", messageID: String? = nil,
        storing: Bool = true, headers: BusHeaders = [:]
    ) async throws(BusError) {
        var message = BusMessage(subject: subjects.channel(channel), headers: headers, payload: payload)
        message.headers[HeaderName.event] = event
        message.headers[HeaderName.messageID] = messageID
        guard try await hasHistory(channel.namespace) else { return try bus.publish(message) }
        guard storing else {
            // Where stored messages appear, without the number of one.
            message.subject = subjects.live(channel)
            return try bus.publish(message)
        }
        do throws(BusError) {
            try await bus.append(message)
        } catch  where error.code == .noResponders {
            // Somebody deleted the stream; the next attempt looks again.
            stored.withLock { _ = $0.remove(channel.namespace) }
            throw error
        }
    }

    /// One of several messages to channels.
    public struct Publication: Sendable {
        public var payload: [UInt8]
        public var channel: ChannelName
        public var event: String
        public var messageID: String?
        public var headers: BusHeaders
        /// What the channel has been told by this message too, and was to be told before it: payloads of what would have been
        /// messages of their own had there been time, objects with the members that were others. See ``HeaderName/overtaken``.
        public var overtaken: [[UInt8]]

        public init(
            _ payload: [UInt8], on channel: ChannelName, event: String = "message", messageID: String? = nil,
            headers: BusHeaders = [:], overtaken: [[UInt8]] = []
        ) {
            self.overtaken = overtaken
            self.payload = payload
            self.channel = channel
            self.event = event
            self.messageID = messageID
            self.headers = headers
        }
    }

    /// Publishes several messages in their order, which takes hardly longer than one; see ``EventBus/append(inOrder:)``.
    /// - Throws: as for one. With `messageID`s all of them may be published again.
    public func publish(inOrder publications: [Publication]) async throws(BusError) {
        var stored: [BusMessage] = []
        for publication in publications {
            let message = message(publication)
            if try await hasHistory(publication.channel.namespace) {
                stored.append(message)
            } else {
                try bus.publish(message)
            }
        }
        do throws(BusError) {
            try await bus.append(inOrder: stored)
        } catch  where error.code == .noResponders {
            forget(publications.map(\.channel.namespace))
            throw error
        }
    }

    /// Publishes messages that have nothing to do with one another, in their order, and returns when all of them are published:
    /// see ``EventBus/append(atOnce:)``. One that is not holds up none behind it.
    /// - Parameters:
    ///   - namespaces: all that their channels are in.
    ///   - write: makes the messages one by one, so that there need not be all of them; called once.
    /// - Throws: why one was not published; of the others it is not known then.
    public func publish(
        atOnceIn namespaces: [String], _ write: (_ add: @escaping (Publication) -> Void) -> Void
    ) async throws(BusError) {
        var unstored: Set<String> = []
        for namespace in namespaces where try await !hasHistory(namespace) { unstored.insert(namespace) }
        var failure: BusError?
        do throws(BusError) {
            try await bus.append { add in
                write { [self] publication in
                    let message = message(publication)
                    guard unstored.contains(publication.channel.namespace) else { return add(message) }
                    do throws(BusError) {
                        try bus.publish(message)
                    } catch {
                        failure = failure ?? error
                    }
                }
            }
        } catch {
            if error.code == .noResponders { forget(namespaces) }
            throw error
        }
        if let failure { throw failure }
    }

    private func message(_ publication: Publication) -> BusMessage {
        var message = BusMessage(
            subject: subjects.channel(publication.channel), headers: publication.headers,
            payload: publication.payload)
        message.headers[HeaderName.event] = publication.event
        message.headers[HeaderName.messageID] = publication.messageID
        if !publication.overtaken.isEmpty {
            message.headers[HeaderName.overtaken] = HeaderText.jsonArray(publication.overtaken)
        }
        return message
    }

    /// Somebody deleted a stream; the next attempt looks again.
    private func forget(_ namespaces: [String]) { stored.withLock { $0.subtract(namespaces) } }

    private func hasHistory(_ namespace: String) async throws(BusError) -> Bool {
        if stored.withLock({ $0.contains(namespace) }) { return true }
        do throws(BusError) {
            _ = try await bus.streamState(subjects.historyStream(namespace: namespace))
        } catch  where error.code == .notFound {
            guard let history = ChannelHistory.builtIn[namespace] else { return false }
            try await bus.ensureStream(.channelHistory(history, namespace: namespace, subjects: subjects))
        }
        stored.withLock { _ = $0.insert(namespace) }
        return true
    }
}

extension StreamSpecification {
    /// The stream that keeps the history of a namespace's channels and republishes each message once it is stored.
    ///
    /// The stream's own age limit is the retention of positions; readers leave out what is older than the history's
    /// time to live. It keeps one message more of each channel than the history has: a reader that is exactly a whole
    /// history behind finds the message at its position and so knows that nothing in between was trimmed.
    public static func channelHistory(
        _ history: ChannelHistory, namespace: String, subjects: Subjects
    ) -> StreamSpecification {
        StreamSpecification(
            name: subjects.historyStream(namespace: namespace), subjects: [subjects.allChannels(in: namespace)],
            maximumMessagesPerSubject: Int64(history.size) + 1,
            maximumAge: max(history.timeToLive, ChannelHistory.positionRetention),
            republish: Republish(source: subjects.allChannels, destination: subjects.allLive))
    }
}
