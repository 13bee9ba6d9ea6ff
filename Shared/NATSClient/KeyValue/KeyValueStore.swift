internal import JSON

/// A key-value bucket as NATS clients of every language understand it (ADR-8): the stream `KV_<bucket>`, a key's
/// revisions on subject `$KV.<bucket>.<key>`.
public struct KeyValueStore: Sendable {
    public let bucket: String
    let jetStream: JetStream
    /// Where a read may go: on one server every read sees what was written before; of several only the leader's does.
    let reading: Reading

    enum Reading {
        case anyReplica
        case leader
    }

    public struct Configuration: Sendable, Equatable {
        public var bucket: String
        /// How many revisions of a key are kept, 1 to 64.
        public var history = 1
        /// How long a value stays; nil is for ever.
        public var timeToLive: Duration?
        public var replicas = 1

        public init(bucket: String) { self.bucket = bucket }
    }

    /// A revision of a key.
    public struct Entry: Sendable, Equatable {
        public enum Operation: Sendable, Equatable {
            case put
            case delete
            case purge
        }

        public var key: String
        public var value: [UInt8]
        public var revision: UInt64
        public var operation: Operation
        public var writtenAtNanoseconds: Int64
    }

    var stream: String { "KV_\(bucket)" }
    private var prefix: String { "$KV.\(bucket)." }
    private static let operationHeader = "KV-Operation"

    init(bucket: String, jetStream: JetStream, reading: Reading) {
        self.bucket = bucket
        self.jetStream = jetStream
        self.reading = reading
    }

    // MARK: Reading

    /// The present value; nil if there is none or it was deleted.
    public func get(_ key: String) async throws(NATSError) -> Entry? {
        guard let entry = try await last(key), entry.operation == .put else { return nil }
        return entry
    }

    private func last(_ key: String) async throws(NATSError) -> Entry? {
        let subject = try subject(of: key)
        let which: JSONObject = ["last_by_subj": .string(subject)]
        let message =
            reading == .anyReplica
            ? try await jetStream.directMessage(in: stream, which)
            : try await jetStream.storedMessage(in: stream, which)
        return message.map(entry)
    }

    /// The kept revisions of a key, oldest first.
    public func history(_ key: String) async throws(NATSError) -> [Entry] {
        try await jetStream.messages(in: stream, subject: subject(of: key), after: 0, limit: 64).map(entry)
    }

    /// How often nothing may come while keys are to come.
    private static let patienceForKeys = 3

    /// The keys that have a value, in no order. `filter` may hold `*` and a final `>`.
    public func keys(matching filter: String) async throws(NATSError) -> [String] {
        let reader = try await jetStream.reader(
            of: stream, subject: subject(matching: filter), from: .lastPerSubject, content: .headersOnly)
        defer { reader.consumer.remove() }
        var keys: Set<String> = []
        guard reader.pending > 0 else { return [] }
        var misses = 0
        while true {
            let messages = try await reader.consumer.fetchAvailable(1024)
            // A key that is written anew while its old entry is to be read has none there; the others still come.
            if messages.isEmpty {
                misses += 1
                if misses < KeyValueStore.patienceForKeys { continue }
            }
            for entry in messages.compactMap(StreamMessage.init(delivered:)).map(entry) {
                if entry.operation == .put { keys.insert(entry.key) } else { keys.remove(entry.key) }
            }
            guard let last = messages.last?.deliveryMetadata, last.pending > 0 else { return Array(keys) }
        }
    }

    // MARK: Writing

    /// Writes whatever is there. Returns the new revision.
    @discardableResult
    public func put(_ key: String, _ value: [UInt8]) async throws(NATSError) -> UInt64 {
        try await write(key, value, [:])
    }

    /// Writes if the key's last revision is `revision`; nil is: if there is no value (never written, or deleted).
    /// - Throws: `conflict` if not.
    @discardableResult
    public func update(_ key: String, _ value: [UInt8], revision: UInt64?) async throws(NATSError) -> UInt64 {
        func write(expecting revision: UInt64) async throws(NATSError) -> UInt64 {
            try await self.write(key, value, [JetStream.expectedLastSubjectSequence: "\(revision)"])
        }
        if let revision { return try await write(expecting: revision) }
        do throws(NATSError) {
            return try await write(expecting: 0)
        } catch  where error.code == .conflict {
            // What is there may be only the mark of a deletion.
            guard let last = try await last(key) else { return try await write(expecting: 0) }
            guard last.operation != .put else { throw error }
            return try await write(expecting: last.revision)
        }
    }

    /// Marks the key as deleted; its history stays.
    public func delete(_ key: String) async throws(NATSError) {
        try await write(key, [], [KeyValueStore.operationHeader: "DEL"])
    }

    /// Removes the key with its history.
    public func purge(_ key: String) async throws(NATSError) {
        try await write(key, [], [KeyValueStore.operationHeader: "PURGE", "Nats-Rollup": "sub"])
    }

    @discardableResult
    private func write(_ key: String, _ value: [UInt8], _ headers: NATSHeaders) async throws(NATSError) -> UInt64 {
        let message = NATSMessage(subject: try subject(of: key), headers: headers, payload: value)
        do throws(NATSError) {
            return try await jetStream.publish(message).sequence
        } catch {
            throw explained(error)
        }
    }

    func explained(_ error: NATSError) -> NATSError {
        error.code == .noResponders
            ? NATSError(.noResponders, "there is no bucket \(bucket) (now); make it or try again") : error
    }

    // MARK: Names

    func subject(of key: String) throws(NATSError) -> String {
        guard KeyValueStore.isKey(key, allowsWildcards: false) else {
            throw NATSError(.invalidArgument, "a key has letters, digits, _ - = / and single dots between them")
        }
        return prefix + key
    }

    func subject(matching filter: String) throws(NATSError) -> String {
        guard KeyValueStore.isKey(filter, allowsWildcards: true) else {
            throw NATSError(.invalidArgument, "a filter of keys is a key with * for a token and > for the rest")
        }
        return prefix + filter
    }

    private static func isKey(_ key: String, allowsWildcards: Bool) -> Bool {
        NATSSyntax.isSubject(key, allowsWildcards: allowsWildcards)
            && key.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "="),
                    UInt8(ascii: "/"), UInt8(ascii: "."), UInt8(ascii: "*"), UInt8(ascii: ">"):
                    true
                default: false
                }
            }
    }

    func entry(_ message: StreamMessage) -> Entry {
        let operation: Entry.Operation =
            switch message.message.headers[KeyValueStore.operationHeader] {
            case "DEL": .delete
            case "PURGE": .purge
            default: .put
            }
        return Entry(
            key: String(message.message.subject.dropFirst(prefix.count)),
            value: operation == .put ? message.message.payload : [], revision: message.sequence, operation: operation,
            writtenAtNanoseconds: message.storedAtNanoseconds)
    }
}

extension JetStream {
    /// Makes the bucket, or changes it to be as configured.
    public func keyValue(_ configuration: KeyValueStore.Configuration) async throws(NATSError) -> KeyValueStore {
        try NATSSyntax.checkName(configuration.bucket, of: "bucket")
        guard (1...64).contains(configuration.history) else {
            throw NATSError(.invalidArgument, "a bucket keeps 1 to 64 revisions of a key")
        }
        let store = KeyValueStore(
            bucket: configuration.bucket, jetStream: self,
            reading: configuration.replicas == 1 ? .anyReplica : .leader)
        var stream = StreamConfiguration(name: store.stream, subjects: ["$KV.\(configuration.bucket).>"])
        stream.maximumMessagesPerSubject = Int64(configuration.history)
        stream.maximumAge = configuration.timeToLive
        stream.discard = .new
        stream.replicas = configuration.replicas
        stream.deniesDeletion = true
        stream.allowsRollup = true
        try await ensureStream(stream)
        return store
    }
}
