internal import Events

extension MemoryBus {
    @discardableResult
    public func ensureStream(_ specification: StreamSpecification) async throws(BusError) -> StreamState {
        try specification.check()
        return try perform(.manage) { broker, now throws(BusError) in
            for (name, other) in broker.streams where name != specification.name {
                let overlaps = other.specification.subjects.contains { theirs in
                    specification.subjects.contains { SubjectPattern.overlaps(theirs, $0) }
                }
                if overlaps { throw BusError(.invalidArgument, "stream \(name) takes some of these subjects already") }
            }
            if broker.streams[specification.name] == nil {
                let epoch = "\(String(now.nanoseconds, radix: 36))-\(broker.makeID())"
                broker.streams[specification.name] = MemoryStream(specification, epoch: epoch)
            } else {
                try broker.streams[specification.name]?.update(specification, now: now)
            }
            return try broker.stream(specification.name).state
        }
    }

    public func streamState(_ name: String) async throws(BusError) -> StreamState {
        try perform(.read) { broker, now throws(BusError) in
            broker.streams[name]?.expire(now: now)
            return try broker.stream(name).state
        }
    }

    public func deleteStream(_ name: String) async throws(BusError) {
        try perform(.manage) { broker, _ throws(BusError) in
            broker.streams[name] = nil
            broker.failFetches(BusError(.notFound, "the stream was deleted")) { key, _ in key.stream == name }
        }
    }

    @discardableResult
    public func append(
        _ message: BusMessage, expecting: ExpectedSequence?
    ) async throws(BusError) -> AppendReceipt {
        try message.check()
        return try perform(.append) { broker, now throws(BusError) in
            guard let name = broker.streamName(taking: message.subject) else {
                throw BusError(.noResponders, "no stream takes \(message.subject); ensure one first")
            }
            return try broker.append(message, to: name, expecting: expecting, now: now)
        }
    }

    public func messages(
        in stream: String, subject: String?, after: UInt64, limit: Int
    ) async throws(BusError) -> [StoredMessage] {
        try perform(.read) { broker, now throws(BusError) in
            broker.streams[stream]?.expire(now: now)
            return try broker.stream(stream).matching(subject, after: after, limit: limit)
        }
    }

    public func lastMessage(in stream: String, subject: String) async throws(BusError) -> StoredMessage? {
        try perform(.read) { broker, now throws(BusError) in
            broker.streams[stream]?.expire(now: now)
            return try broker.stream(stream).last(on: subject)
        }
    }

    public func deleteMessage(in stream: String, sequence: UInt64) async throws(BusError) {
        try perform(.manage) { broker, _ throws(BusError) in
            _ = try broker.stream(stream)
            broker.streams[stream]?.remove(sequence)
        }
    }

    public func purge(stream: String, subject: String?, keep: Int) async throws(BusError) {
        try perform(.manage) { broker, _ throws(BusError) in
            _ = try broker.stream(stream)
            broker.streams[stream]?.purge(subject: subject, keep: keep)
        }
    }

    public func subjectCounts(
        in stream: String, matching pattern: String
    ) async throws(BusError) -> [String: UInt64] {
        try perform(.read) { broker, now throws(BusError) in
            broker.streams[stream]?.expire(now: now)
            return try broker.stream(stream).counts(matching: pattern)
        }
    }

    public func consumerState(_ name: String, of stream: String) async throws(BusError) -> ConsumerState {
        try perform(.read) { broker, _ throws(BusError) in
            guard let consumer = try broker.stream(stream).consumers[name] else {
                throw BusError(.notFound, "there is no consumer \(name) on stream \(stream)")
            }
            return consumer.state
        }
    }

    /// Nothing is to be done: what is removed is forgotten at once here.
    public func forgetRemoved(by consumer: String, of stream: String) async throws(BusError) {
        _ = try await consumerState(consumer, of: stream)
    }

    public func consumer(_ specification: ConsumerSpecification) async throws(BusError) -> any BusConsumer {
        try specification.check()
        try perform(.manage) { broker, now throws(BusError) in
            let stream = try broker.stream(specification.stream)
            try stream.check(specification)
            if stream.consumers[specification.name] == nil {
                broker.streams[specification.stream]?.consumers[specification.name] = MemoryConsumer(
                    specification, stream: stream)
            } else {
                broker.streams[specification.stream]?.consumers[specification.name]?.update(
                    specification, stream: stream)
            }
            broker.serve(stream: specification.stream, now: now)
        }
        return MemoryBusConsumer(
            bus: self, key: MemoryBroker.FetchKey(stream: specification.stream, consumer: specification.name))
    }
}

extension MemoryBus {
    /// How many fetches of a consumer wait for messages now, for tests.
    public func waitingFetches(stream: String, consumer: String) -> Int {
        let key = MemoryBroker.FetchKey(stream: stream, consumer: consumer)
        let count = try? server.perform { broker, _ throws(BusError) in broker.fetches[key]?.count ?? 0 }
        return count ?? 0
    }
}

/// One handle to a durable consumer.
private struct MemoryBusConsumer: BusConsumer {
    let bus: MemoryBus
    let key: MemoryBroker.FetchKey

    func fetch(_ maximum: Int, wait: Duration) async throws(BusError) -> [Delivery] {
        guard maximum > 0 else { throw BusError(.invalidArgument, "at least one message is to be fetched") }
        let result = OneShot<Result<[MemoryConsumer.Next], BusError>>()
        let server = bus.server
        let (key, connection) = (key, bus.connection)
        let id = try bus.perform(.fetch) { broker, now throws(BusError) in
            guard try broker.stream(key.stream).consumers[key.consumer] != nil else {
                throw BusError(.notFound, "the consumer is gone; make it again")
            }
            let id = broker.makeID()
            let fetch = MemoryBroker.Fetch(
                id: id, connection: connection, maximum: maximum, deliver: { result.fulfil(.success($0)) },
                fail: { result.fulfil(.failure($0)) })
            broker.add(fetch, for: key, now: now)
            return id
        }
        // Through the broker, so that messages which are already on their way to this fetch are not lost to it.
        let end: @Sendable () -> Void = {
            try? server.perform { broker, _ throws(BusError) in
                guard let fetch = broker.removeFetch(id, for: key) else { return }
                broker.afterwards { fetch.deliver([]) }
            }
        }
        var cancelTimer: @Sendable () -> Void = {}
        if wait > .zero { cancelTimer = server.clock.schedule(after: wait, end) } else { end() }
        let outcome = await withTaskCancellationHandler {
            await result.value()
        } onCancel: {
            end()
        }
        cancelTimer()
        return try outcome.get().map(delivery)
    }

    private func delivery(_ next: MemoryConsumer.Next) -> Delivery {
        let (bus, key, sequence) = (bus, key, next.message.sequence)
        return Delivery(
            message: next.message.message, sequence: sequence, attempt: next.attempt,
            storedAt: next.message.storedAt, pending: next.pending
        ) { answer throws(BusError) in
            try bus.perform(.answer) { broker, now throws(BusError) in
                try broker.answer(answer, to: sequence, for: key, now: now)
            }
        }
    }
}

extension MemoryBroker {
    func stream(_ name: String) throws(BusError) -> MemoryStream {
        guard let stream = streams[name] else { throw .noStream }
        return stream
    }

    /// Stores what a publisher wants acknowledged; those who listen on the subject get it too.
    mutating func append(
        _ message: BusMessage, to name: String, expecting: ExpectedSequence?, now: Timestamp
    ) throws(BusError) -> AppendReceipt {
        var stored = message
        stored.replyTo = nil
        route(stored)
        return try store(stored, in: name, expecting: expecting, now: now).get()
    }
}

extension MemoryStream {
    /// Whether the consumer may be made here.
    fileprivate func check(_ consumer: ConsumerSpecification) throws(BusError) {
        if let filter = consumer.filter {
            guard specification.subjects.contains(where: { SubjectPattern.overlaps($0, filter) }) else {
                throw BusError(.invalidArgument, "the consumer's filter takes none of the stream's subjects")
            }
        }
        guard specification.retention == .workQueue else { return }
        for (name, other) in consumers where name != consumer.name {
            let overlaps = SubjectPattern.overlaps(other.specification.filter ?? ">", consumer.filter ?? ">")
            if overlaps {
                throw BusError(.invalidArgument, "consumer \(name) of this work queue takes some of the same messages")
            }
        }
    }
}

extension StreamSpecification {
    fileprivate func check() throws(BusError) {
        guard name.isBusName else {
            throw BusError(.invalidArgument, "a stream's name has letters, digits, _ and - only")
        }
        guard !subjects.isEmpty, subjects.allSatisfy(SubjectPattern.isPattern) else {
            throw BusError(.invalidArgument, "a stream has subjects, with tokens between dots and > only at the end")
        }
    }
}

extension ConsumerSpecification {
    fileprivate func check() throws(BusError) {
        guard name.isBusName else {
            throw BusError(.invalidArgument, "a consumer's name has letters, digits, _ and - only")
        }
        guard filter.map(SubjectPattern.isPattern) ?? true, acknowledgementWait > .zero, maximumUnacknowledged > 0,
            maximumDeliveries.map({ $0 > 0 }) ?? true
        else { throw BusError(.invalidArgument, "a consumer's filter is a subject, and its limits are above zero") }
    }
}

extension String {
    /// Letters, digits, `_` and `-`: what streams, consumers and buckets may be named.
    var isBusName: Bool {
        !isEmpty && SubjectToken.encode(self) == self && !utf8.contains(UInt8(ascii: "."))
    }
}
