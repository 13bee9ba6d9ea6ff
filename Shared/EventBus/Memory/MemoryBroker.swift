internal import Events
internal import JSON

/// All that ``MemoryServer`` guards with its lock: subscriptions, streams and what waits to be delivered.
///
/// Methods decide and change; what must happen outside the lock they append to ``effects``.
struct MemoryBroker {
    struct Subscription {
        let connection: Int
        let pattern: String
        let queue: String?
        let limit: Int
        let onMessage: @Sendable (BusMessage) -> Void
        /// Told how many messages were dropped.
        let onDrop: @Sendable (String, UInt64) -> Void
        /// How many messages wait for the callback.
        var waiting = 0
        /// How many were dropped since the last report.
        var dropped: UInt64 = 0
        /// Whether the server has forgotten it.
        var isLost = false
    }

    /// What the delivery thread does next, in order.
    enum Item {
        case message(subscription: UInt64, BusMessage)
        case action(@Sendable () -> Void)
    }

    struct FetchKey: Hashable {
        let stream: String
        let consumer: String
    }

    struct Fetch {
        let id: UInt64
        let connection: Int
        let maximum: Int
        let deliver: @Sendable ([MemoryConsumer.Next]) -> Void
        let fail: @Sendable (BusError) -> Void
    }

    /// One who wants every message of a stream on some subjects, and is told what came while it was away.
    struct Watcher {
        let connection: Int
        let stream: String
        let filter: String
        var position: UInt64
        let onMessages: @Sendable ([StoredMessage]) -> Void
    }

    /// Runs after the lock is released.
    private(set) var effects: [@Sendable () -> Void] = []
    private(set) var queue: [Item] = []
    var isDelivering = false
    /// When the timer for messages that come again is set to ring, and when it should.
    var wakeAt: Timestamp?
    private(set) var wakeWanted: Timestamp?
    var disconnected: Set<Int> = []
    var streams: [String: MemoryStream] = [:]

    private var subscriptions: [UInt64: Subscription] = [:]
    private var literal: [String: [UInt64]] = [:]
    private var wild: [UInt64] = []
    private(set) var fetches: [FetchKey: [Fetch]] = [:]
    private var watchers: [UInt64: Watcher] = [:]
    private var lastID: UInt64 = 0
    private var turn = 0

    mutating func makeID() -> UInt64 {
        lastID += 1
        return lastID
    }

    mutating func takeEffects() -> [@Sendable () -> Void] {
        defer { effects = [] }
        return effects
    }

    mutating func afterwards(_ effect: @escaping @Sendable () -> Void) { effects.append(effect) }

    // MARK: Core

    mutating func add(_ subscription: Subscription) -> UInt64 {
        let id = makeID()
        subscriptions[id] = subscription
        if SubjectPattern.isWild(subscription.pattern) {
            wild.append(id)
        } else {
            literal[subscription.pattern, default: []].append(id)
        }
        return id
    }

    mutating func removeSubscription(_ id: UInt64) {
        guard let gone = subscriptions.removeValue(forKey: id) else { return }
        wild.removeAll { $0 == id }
        literal[gone.pattern]?.removeAll { $0 == id }
        if literal[gone.pattern]?.isEmpty == true { literal[gone.pattern] = nil }
    }

    mutating func removeSubscriptions(of connection: Int) {
        for (id, subscription) in subscriptions where subscription.connection == connection { removeSubscription(id) }
    }

    mutating func loseSubscriptions(of connection: Int, prefix: String) {
        for (id, subscription) in subscriptions
        where subscription.connection == connection && subscription.pattern.hasPrefix(prefix) {
            subscriptions[id]?.isLost = true
        }
    }

    mutating func restoreSubscriptions(of connection: Int) {
        for (id, subscription) in subscriptions where subscription.connection == connection {
            subscriptions[id]?.isLost = false
        }
    }

    /// Routes to whoever listens, one member per queue group, and stores where a stream takes the subject.
    /// - Returns: whether anybody got it.
    @discardableResult
    mutating func publish(_ message: BusMessage, now: Timestamp) -> Bool {
        let heard = route(message)
        if let name = streamName(taking: message.subject) {
            _ = store(message, in: name, expecting: nil, now: now)
            return true
        }
        return heard
    }

    @discardableResult
    mutating func route(_ message: BusMessage) -> Bool {
        var groups: [String: [UInt64]] = [:]
        var receivers: [UInt64] = []
        let candidates = (literal[message.subject] ?? []) + wild
        for id in candidates {
            guard let subscription = subscriptions[id], !subscription.isLost,
                !disconnected.contains(subscription.connection),
                SubjectPattern.matches(subscription.pattern, message.subject)
            else { continue }
            if let queue = subscription.queue {
                groups[queue, default: []].append(id)
            } else {
                receivers.append(id)
            }
        }
        for members in groups.values {
            turn += 1
            receivers.append(members[turn % members.count])
        }
        for id in receivers { enqueue(message, to: id) }
        return !receivers.isEmpty
    }

    private mutating func enqueue(_ message: BusMessage, to id: UInt64) {
        guard let subscription = subscriptions[id] else { return }
        guard subscription.waiting < subscription.limit else {
            subscriptions[id]?.dropped += 1
            return
        }
        subscriptions[id]?.waiting += 1
        enqueue(.message(subscription: id, message))
    }

    mutating func enqueue(_ item: Item) { queue.append(item) }

    mutating func takeQueue() -> [Item] {
        defer { queue = [] }
        return queue
    }

    /// The subscription for a message that is to be delivered now, with what was dropped and not reported yet; nil if it
    /// has ended.
    mutating func beginDelivery(to id: UInt64) -> Subscription? {
        guard let subscription = subscriptions[id] else { return nil }
        subscriptions[id]?.waiting -= 1
        subscriptions[id]?.dropped = 0
        return subscription
    }

    // MARK: Streams

    func streamName(taking subject: String) -> String? {
        streams.first { $0.value.takes(subject) }?.key
    }

    /// Stores, republishes and wakes the consumers that have somebody waiting.
    mutating func store(
        _ message: BusMessage, in name: String, expecting: ExpectedSequence?, now: Timestamp
    ) -> Result<AppendReceipt, BusError> {
        guard var stream = streams[name] else { return .failure(.noStream) }
        // The stream is taken out while it changes, so that it is not copied.
        streams[name] = nil
        let outcome = stream.store(message, expecting: expecting ?? message.expectedSequence, now: now)
        streams[name] = stream
        switch outcome {
        case .refused(let error): return .failure(error)
        case .duplicate(let sequence):
            return .success(AppendReceipt(stream: name, sequence: sequence, isDuplicate: true))
        case .stored(let kept, let previous):
            republish(kept, previous: previous, of: stream.specification)
            serve(stream: name, now: now)
            for id in Array(watchers.keys) { tell(watcher: id) }
            return .success(AppendReceipt(stream: name, sequence: kept.sequence, isDuplicate: false))
        }
    }

    private mutating func republish(_ kept: StoredMessage, previous: UInt64, of stream: StreamSpecification) {
        guard let republish = stream.republish, SubjectPattern.matches(republish.source, kept.message.subject),
            republish.source.hasSuffix(">"), republish.destination.hasSuffix(">")
        else { return }
        var message = kept.message
        let suffix = kept.message.subject.dropFirst(republish.source.count - 1)
        message.subject = "\(republish.destination.dropLast())\(suffix)"
        message.headers[HeaderName.stream] = stream.name
        message.headers["Nats-Subject"] = kept.message.subject
        message.headers[HeaderName.sequence] = String(kept.sequence)
        message.headers[HeaderName.lastSequence] = String(previous)
        route(message)
    }

    // MARK: Consumers

    mutating func add(_ fetch: Fetch, for key: FetchKey, now: Timestamp) {
        fetches[key, default: []].append(fetch)
        serve(key, now: now)
    }

    /// Takes a waiting fetch out, if it still waits.
    mutating func removeFetch(_ id: UInt64, for key: FetchKey) -> Fetch? {
        guard let index = fetches[key]?.firstIndex(where: { $0.id == id }) else { return nil }
        return fetches[key]?.remove(at: index)
    }

    /// Ends the waiting fetches that `isGone` says, with an error.
    mutating func failFetches(_ error: BusError, where isGone: (FetchKey, Fetch) -> Bool) {
        for (key, waiting) in fetches {
            for fetch in waiting where isGone(key, fetch) { afterwards { fetch.fail(error) } }
            fetches[key] = waiting.filter { !isGone(key, $0) }
        }
    }

    mutating func serve(stream name: String, now: Timestamp) {
        for consumer in streams[name]?.consumers.keys.sorted() ?? [] {
            serve(FetchKey(stream: name, consumer: consumer), now: now)
        }
    }

    /// Hands messages of one consumer to those who wait for them, in the order in which they came.
    mutating func serve(_ key: FetchKey, now: Timestamp) {
        guard var stream = streams[key.stream], var consumer = stream.consumers[key.consumer] else { return }
        // Both are taken out while they change, so that they are not copied.
        streams[key.stream] = nil
        stream.expire(now: now)
        consumer = stream.consumers.removeValue(forKey: key.consumer) ?? consumer
        let exhausted = consumer.exhaust(now: now)
        let hasFetches = fetches[key]?.isEmpty == false
        while let fetch = fetches[key]?.first {
            var batch: [MemoryConsumer.Next] = []
            while batch.count < fetch.maximum, let next = consumer.next(in: stream, now: now) { batch.append(next) }
            guard !batch.isEmpty else { break }
            fetches[key]?.removeFirst()
            let delivered = batch
            afterwards { fetch.deliver(delivered) }
        }
        if hasFetches, let due = consumer.nextDue(after: now) { want(wakeAt: due) }
        stream.consumers[key.consumer] = consumer
        streams[key.stream] = stream
        for (sequence, attempts) in exhausted { advise(key, sequence: sequence, attempts: attempts, now: now) }
    }

    /// Tells that a message was delivered as often as it may be, as nats-server does.
    private mutating func advise(_ key: FetchKey, sequence: UInt64, attempts: Int, now: Timestamp) {
        let advisory: JSONValue = [
            "type": "io.nats.jetstream.advisory.v1.max_deliver", "id": .string(String(makeID())),
            "timestamp": .string(now.description), "stream": .string(key.stream), "consumer": .string(key.consumer),
            "stream_seq": .integer(Int64(sequence)), "deliveries": .integer(Int64(attempts)),
        ]
        let subject = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.\(key.stream).\(key.consumer)"
        publish(BusMessage(subject: subject, payload: advisory.serialized()), now: now)
    }

    mutating func answer(_ answer: Delivery.Answer, to sequence: UInt64, for key: FetchKey, now: Timestamp)
        throws(BusError)
    {
        guard let stream = streams[key.stream], let consumer = stream.consumers[key.consumer] else {
            throw BusError(.notFound, "the consumer is gone; make it again")
        }
        switch answer {
        case .acknowledge, .acknowledgeUnconfirmed, .terminate:
            streams[key.stream]?.consumers[key.consumer]?.settle(sequence)
            if stream.specification.retention == .workQueue { streams[key.stream]?.remove(sequence) }
        case .retry(let delay):
            streams[key.stream]?.consumers[key.consumer]?.postpone(
                sequence, until: now.advanced(by: max(delay, .zero)))
        case .extend:
            streams[key.stream]?.consumers[key.consumer]?.postpone(
                sequence, until: now.advanced(by: consumer.specification.acknowledgementWait))
        }
        if let due = streams[key.stream]?.consumers[key.consumer]?.outstanding[sequence]?.due, due > now {
            want(wakeAt: due)
        }
        serve(key, now: now)
    }

    // MARK: Time

    private mutating func want(wakeAt due: Timestamp) {
        wakeWanted = min(wakeWanted ?? due, due)
    }

    /// When a timer is to be set, if none rings early enough.
    mutating func takeWakeTime() -> Timestamp? {
        defer { wakeWanted = nil }
        guard let wakeWanted, wakeWanted < wakeAt ?? Timestamp(nanoseconds: .max) else { return nil }
        wakeAt = wakeWanted
        return wakeWanted
    }

    /// The timer rang: what was out for too long comes again.
    mutating func wake(_ rung: Timestamp, now: Timestamp) {
        if wakeAt == rung { wakeAt = nil }
        for name in Array(streams.keys) { serve(stream: name, now: now) }
        let dues = streams.values.flatMap { $0.consumers.values.compactMap { $0.nextDue(after: now) } }
        if let due = dues.min() { want(wakeAt: due) }
    }

    // MARK: Watchers

    mutating func add(_ watcher: Watcher) -> UInt64 {
        let id = makeID()
        watchers[id] = watcher
        return id
    }

    mutating func removeWatcher(_ id: UInt64) { watchers[id] = nil }

    /// Gives the watchers of a connection that is back what they missed.
    mutating func resumeWatchers() {
        for id in Array(watchers.keys) { tell(watcher: id) }
    }

    private mutating func tell(watcher id: UInt64) {
        guard let watcher = watchers[id], !disconnected.contains(watcher.connection),
            let stream = streams[watcher.stream], stream.state.lastSequence > watcher.position
        else { return }
        let news = stream.matching(watcher.filter, after: watcher.position, limit: .max)
        watchers[id]?.position = stream.state.lastSequence
        if !news.isEmpty { enqueue(.action { watcher.onMessages(news) }) }
    }
}

extension BusMessage {
    /// What a publisher of another kind says with the server's own header.
    fileprivate var expectedSequence: ExpectedSequence? {
        headers["Nats-Expected-Last-Subject-Sequence"].flatMap { UInt64($0) }.map { .onSubject($0) }
    }
}

extension BusError {
    static let noStream = BusError(.notFound, "there is no such stream; ensure it first")
}
