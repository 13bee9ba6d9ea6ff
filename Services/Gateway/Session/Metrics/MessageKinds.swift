internal import GatewayWire

/// What clients ask for, as it is counted.
enum CommandKind: String, CaseIterable {
    case connect
    case subscribe
    case unsubscribe
    case publish
    case call
    case send
    case presence
    case history
    case refresh
    case ping
    case pong
    /// What cannot be understood.
    case other
}

/// What clients are sent, as it is counted.
enum SentKind: String, CaseIterable {
    case publication
    /// Changes of presence, up to many in one.
    case presence
    case reply
    /// A reply that is an error.
    case error
    /// What no command asked for and is neither of the others.
    case push
    case ping
}

extension ClientCommand {
    var kind: CommandKind {
        switch self {
        case .connect: .connect
        case .subscribe: .subscribe
        case .unsubscribe: .unsubscribe
        case .publish: .publish
        case .call: .call
        case .send: .send
        case .presence, .presenceStatistics: .presence
        case .history: .history
        case .refresh, .subscriptionRefresh: .refresh
        case .ping: .ping
        case .pong: .pong
        case .unknown, .malformed: .other
        }
    }
}

extension ServerMessage {
    var kind: SentKind {
        switch self {
        case .failure: .error
        case .ping: .ping
        case .subscribedByServer, .unsubscribedByServer, .dropped: .push
        case .members: .presence
        default: .reply
        }
    }
}
