internal import Synchronization

/// What a service needs before it can do its work, and whether it has it. Served at `/ready`.
public final class Readiness: Sendable {
    private let conditions = Mutex<[String: Bool]>([:])

    public init() {}

    /// Says whether a condition, such as `bus` or `streams`, holds now. The first call makes it one that counts.
    public func set(_ condition: String, _ holds: Bool) {
        conditions.withLock { $0[condition] = holds }
    }

    /// Every condition by name.
    public var all: [String: Bool] { conditions.withLock { $0 } }

    /// Whether there are conditions and all of them hold.
    public var isReady: Bool { conditions.withLock { !$0.isEmpty && $0.values.allSatisfy { $0 } } }
}
