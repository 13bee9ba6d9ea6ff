public import Events

/// A bucket of keys with values and revisions. Keys are letters, digits, `_`, `-`, `=`, `/` and `.` between tokens.
public protocol KeyValueBucket: Sendable {
    var name: String { get }

    /// The present value; nil if there is none or it was deleted.
    func get(_ key: String) async throws(BusError) -> KeyValueEntry?

    /// Those of several keys that have a value now: their entries, in no order. Hardly slower than ``get(_:)`` of one where the bus
    /// can ask for them together.
    /// - Throws: what went wrong with one of them; nothing is known of the others then.
    func present(among keys: [String]) async throws(BusError) -> [KeyValueEntry]

    /// Writes whatever is there. Returns the new revision.
    @discardableResult
    func put(_ key: String, _ value: [UInt8]) async throws(BusError) -> UInt64

    /// Writes if the key's last revision is `revision`; nil is: if there is no value (never written, or deleted).
    /// - Throws: `conflict` if not.
    @discardableResult
    func update(_ key: String, _ value: [UInt8], revision: UInt64?) async throws(BusError) -> UInt64

    /// Writes several keys at once that have never had a value, and returns when all of them are written. Hardly slower than one
    /// where the bus can send them together. One that is not written holds up no other.
    /// - Parameter write: makes keys and values one by one, so that there need not be all of them; called once.
    /// - Throws: why one was not written: `conflict` if it has been there, even if it was deleted since; of the others it is not
    ///   known then.
    func create(atOnce write: (_ add: @escaping (_ key: String, _ value: [UInt8]) -> Void) -> Void)
        async throws(BusError)

    /// Marks the key as deleted; its history stays.
    func delete(_ key: String) async throws(BusError)

    /// Removes the key with its history.
    func purge(_ key: String) async throws(BusError)

    /// The kept revisions of a key, oldest first.
    func history(_ key: String) async throws(BusError) -> [KeyValueEntry]

    /// The keys that have a value, in no order. `filter` may hold `*` and a final `>`.
    func keys(matching filter: String) async throws(BusError) -> [String]

    /// The present entries of the keys that match `filter`, then ``KeyValueEvent/caughtUp`` once, then every change in
    /// order. A reader that falls more than `bufferLimit` events behind gets ``KeyValueEvent/lost(_:)`` and must watch anew.
    func watch(_ filter: String, bufferLimit: Int) async throws(BusError) -> AsyncStream<KeyValueEvent>
}

public struct KeyValueEntry: Sendable, Equatable {
    public enum Operation: Sendable, Equatable {
        case put
        case delete
        case purge
    }

    public var key: String
    /// Empty unless the operation is `put`.
    public var value: [UInt8]
    public var revision: UInt64
    public var operation: Operation
    public var writtenAt: Timestamp

    public init(key: String, value: [UInt8], revision: UInt64, operation: Operation, writtenAt: Timestamp) {
        self.key = key
        self.value = value
        self.revision = revision
        self.operation = operation
        self.writtenAt = writtenAt
    }
}

public enum KeyValueEvent: Sendable, Equatable {
    case entry(KeyValueEntry)
    /// All that was there when the watch began has been given.
    case caughtUp
    /// So many events were dropped since the reader was too slow; the last event of the sequence.
    case lost(UInt64)
}

extension KeyValueBucket {
    public func keys() async throws(BusError) -> [String] { try await keys(matching: ">") }
}
