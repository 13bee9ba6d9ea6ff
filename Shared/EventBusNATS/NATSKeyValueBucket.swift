internal import EventBus
internal import NATSClient

/// A bucket of JetStream's key-value store.
struct NATSKeyValueBucket: KeyValueBucket {
    let store: KeyValueStore

    var name: String { store.bucket }

    func get(_ key: String) async throws(BusError) -> KeyValueEntry? {
        try await translated { () async throws(NATSError) in try await store.get(key).map(KeyValueEntry.init) }
    }

    @discardableResult
    func put(_ key: String, _ value: [UInt8]) async throws(BusError) -> UInt64 {
        try await translated { () async throws(NATSError) in try await store.put(key, value) }
    }

    @discardableResult
    func update(_ key: String, _ value: [UInt8], revision: UInt64?) async throws(BusError) -> UInt64 {
        try await translated { () async throws(NATSError) in
            try await store.update(key, value, revision: revision)
        }
    }

    func present(among keys: [String]) async throws(BusError) -> [KeyValueEntry] {
        try await translated { () async throws(NATSError) in
            try await store.present(among: keys).map(KeyValueEntry.init)
        }
    }

    func create(atOnce write: (_ add: @escaping (_ key: String, _ value: [UInt8]) -> Void) -> Void)
        async throws(BusError)
    {
        try await translated { () async throws(NATSError) in try await store.create(atOnce: write) }
    }

    func delete(_ key: String) async throws(BusError) {
        try await translated { () async throws(NATSError) in try await store.delete(key) }
    }

    func purge(_ key: String) async throws(BusError) {
        try await translated { () async throws(NATSError) in try await store.purge(key) }
    }

    func history(_ key: String) async throws(BusError) -> [KeyValueEntry] {
        try await translated { () async throws(NATSError) in try await store.history(key).map(KeyValueEntry.init) }
    }

    func keys(matching filter: String) async throws(BusError) -> [String] {
        try await translated { () async throws(NATSError) in try await store.keys(matching: filter) }
    }

    func watch(_ filter: String, bufferLimit: Int) async throws(BusError) -> AsyncStream<KeyValueEvent> {
        let watch = try await translated { () async throws(NATSError) in
            try await store.watch(filter, bufferLimit: bufferLimit)
        }
        return AsyncStream { await watch.next().map(KeyValueEvent.init) }
    }
}

extension KeyValueEvent {
    fileprivate init(_ event: KeyValueWatch.Event) {
        switch event {
        case .entry(let entry): self = .entry(KeyValueEntry(entry))
        case .caughtUp: self = .caughtUp
        case .lost(let count): self = .lost(count)
        }
    }
}
