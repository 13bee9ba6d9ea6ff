internal import Events

/// A key-value bucket of ``MemoryBus``: as on nats-server, a stream `KV_<bucket>` with the keys as its subjects.
struct MemoryBucket: KeyValueBucket {
    let name: String
    let bus: MemoryBus

    private static let operationHeader = "KV-Operation"
    private var stream: String { "KV_\(name)" }
    private var prefix: String { "$KV.\(name)." }

    /// Makes the bucket if it is not there.
    static func ensure(_ specification: BucketSpecification, on bus: MemoryBus) throws(BusError) -> MemoryBucket {
        guard specification.name.isBusName, (1...64).contains(specification.history) else {
            throw BusError(.invalidArgument, "a bucket's name has letters, digits, _ and -, its history is 1 to 64")
        }
        let bucket = MemoryBucket(name: specification.name, bus: bus)
        let stream = StreamSpecification(
            name: bucket.stream, subjects: ["\(bucket.prefix)>"], overflow: .refuseNewest,
            maximumMessagesPerSubject: Int64(specification.history), maximumAge: specification.timeToLive,
            replicas: specification.replicas)
        try bus.perform(.manage) { broker, now throws(BusError) in
            guard broker.streams[stream.name] == nil else { return }
            let epoch = "\(String(now.nanoseconds, radix: 36))-\(broker.makeID())"
            broker.streams[stream.name] = MemoryStream(stream, epoch: epoch)
        }
        return bucket
    }

    // MARK: Reading

    func get(_ key: String) async throws(BusError) -> KeyValueEntry? {
        try checkKey(key)
        let subject = prefix + key
        return try read { stream in stream.last(on: subject).map(entry).flatMap { $0.operation == .put ? $0 : nil } }
    }

    func history(_ key: String) async throws(BusError) -> [KeyValueEntry] {
        try checkKey(key)
        let subject = prefix + key
        return try read { stream in stream.matching(subject, after: 0, limit: .max).map(entry) }
    }

    func keys(matching filter: String) async throws(BusError) -> [String] {
        try checkFilter(filter)
        return try read { stream in present(in: stream, filter: filter).map(\.key) }
    }

    private func read<Value: Sendable>(_ body: (MemoryStream) -> Value) throws(BusError) -> Value {
        try bus.perform(.keyValueRead) { broker, now throws(BusError) in
            broker.streams[stream]?.expire(now: now)
            return body(try broker.stream(stream))
        }
    }

    /// The entries that have a value, oldest first.
    private func present(in stream: MemoryStream, filter: String) -> [KeyValueEntry] {
        stream.subjects(matching: prefix + filter).compactMap { stream.last(on: $0) }.map(entry)
            .filter { $0.operation == .put }.sorted { $0.revision < $1.revision }
    }

    private func entry(_ stored: StoredMessage) -> KeyValueEntry {
        let operation: KeyValueEntry.Operation =
            switch stored.message.headers[Self.operationHeader] {
            case "DEL": .delete
            case "PURGE": .purge
            default: .put
            }
        return KeyValueEntry(
            key: String(stored.message.subject.dropFirst(prefix.count)),
            value: operation == .put ? stored.message.payload : [], revision: stored.sequence, operation: operation,
            writtenAt: stored.storedAt)
    }

    // MARK: Writing

    @discardableResult
    func put(_ key: String, _ value: [UInt8]) async throws(BusError) -> UInt64 {
        try write(key, value) { _ in nil }
    }

    @discardableResult
    func update(_ key: String, _ value: [UInt8], revision: UInt64?) async throws(BusError) -> UInt64 {
        try write(key, value) { last in
            if let revision { return .onSubject(revision) }
            // Without a value: nothing was ever written, or what was written last is a deletion.
            guard let last, entry(last).operation != .put else { return .onSubject(0) }
            return .onSubject(last.sequence)
        }
    }

    func delete(_ key: String) async throws(BusError) {
        try write(key, [], operation: "DEL") { _ in nil }
    }

    func purge(_ key: String) async throws(BusError) {
        try write(key, [], operation: "PURGE") { _ in nil }
        let subject = prefix + key
        try bus.server.perform { broker, _ throws(BusError) in
            broker.streams[stream]?.purge(subject: subject, keep: 1)
        }
    }

    @discardableResult
    private func write(
        _ key: String, _ value: [UInt8], operation: String? = nil, expecting: (StoredMessage?) -> ExpectedSequence?
    ) throws(BusError) -> UInt64 {
        try checkKey(key)
        var message = BusMessage(subject: prefix + key, payload: value)
        message.headers[Self.operationHeader] = operation
        try message.check()
        let written = message
        return try bus.perform(.keyValueWrite) { broker, now throws(BusError) in
            broker.streams[stream]?.expire(now: now)
            let last = try broker.stream(stream).last(on: written.subject)
            return try broker.append(written, to: stream, expecting: expecting(last), now: now).sequence
        }
    }

    // MARK: Watching

    func watch(_ filter: String, bufferLimit: Int) async throws(BusError) -> AsyncStream<KeyValueEvent> {
        try checkFilter(filter)
        let buffer = WatchBuffer(limit: bufferLimit)
        let (bucket, server) = (self, bus.server)
        let id = try bus.perform(.keyValueRead) { broker, now throws(BusError) in
            broker.streams[bucket.stream]?.expire(now: now)
            let stream = try broker.stream(bucket.stream)
            buffer.begin(with: bucket.present(in: stream, filter: filter).map { .entry($0) } + [.caughtUp])
            return broker.add(
                MemoryBroker.Watcher(
                    connection: bucket.bus.connection, stream: bucket.stream, filter: bucket.prefix + filter,
                    position: stream.state.lastSequence
                ) { [weak buffer] news in
                    for stored in news { buffer?.append(.entry(bucket.entry(stored))) }
                })
        }
        let bus = bus
        let watch = bus.addWatch { [weak buffer] in buffer?.finish() }
        buffer.setOnEnd {
            bus.removeWatch(watch)
            try? server.perform { broker, _ throws(BusError) in broker.removeWatcher(id) }
        }
        return AsyncStream { await buffer.next() }
    }

    // MARK: Names

    private func checkKey(_ key: String) throws(BusError) {
        guard SubjectPattern.isSubject(key), key.utf8.allSatisfy(Self.isKeyByte) else {
            throw BusError(.invalidArgument, "a key has letters, digits, _ - = / and dots between tokens")
        }
    }

    private func checkFilter(_ filter: String) throws(BusError) {
        guard SubjectPattern.isPattern(filter) else {
            throw BusError(.invalidArgument, "a filter is a key whose tokens may be * and whose last one may be >")
        }
    }

    private static func isKeyByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "="),
            UInt8(ascii: "/"), UInt8(ascii: "."):
            true
        default: false
        }
    }
}
