internal import EventBus
internal import Events

/// Whose tasks a caller may see and change.
enum TaskAccess: Sendable, Equatable {
    /// Administrators, and backends that speak for themselves on the bus.
    case all
    case user(String)

    /// - Throws: 403 for a client that is nobody.
    init(_ caller: Caller) throws(RPCError) {
        if caller.has(role: "admin") {
            self = .all
        } else if let user = caller.user {
            self = .user(user)
        } else if caller.client == nil {
            self = .all
        } else {
            throw RPCError(403, "tasks belong to users: connect with a token")
        }
    }

    func includes(_ user: String?) -> Bool {
        switch self {
        case .all: true
        case .user(let own): user == own
        }
    }
}
