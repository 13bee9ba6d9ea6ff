package import Events
internal import JSON

/// The options of a class of channels (`gateway.namespaces`).
package struct Namespace: Sendable, Equatable {
    /// Who may do something on a channel.
    package enum Rule: Sendable, Equatable {
        case nobody
        case anyone
        case authenticated
        /// The user whose id is the channel's name, and the role `admin`.
        case owner
        /// Whoever is subscribed to the channel at that moment.
        case subscriber
        case roles([String])
        /// A service is asked each time.
        case hook
    }

    /// What happens to a subscriber that reads more slowly than messages come.
    package enum SlowPolicy: String, Sendable, CaseIterable {
        /// It is disconnected and may come back and continue from the log.
        case disconnect
        /// It gets the newest message of each channel, and is told how many were left out.
        case latest
        /// Its oldest waiting messages are dropped, and it is told how many.
        case dropOldest = "drop_oldest"
    }

    package var name: String
    package var subscribe: Rule
    package var publish: Rule
    package var history: ChannelHistory?
    package var presence: Bool
    package var joinLeave: Bool
    package var slow: SlowPolicy

    package init(
        name: String, subscribe: Rule, publish: Rule = .nobody, history: ChannelHistory? = nil, presence: Bool = false,
        joinLeave: Bool = false, slow: SlowPolicy = .disconnect
    ) {
        self.name = name
        self.subscribe = subscribe
        self.publish = publish
        self.history = history
        self.presence = presence
        self.joinLeave = joinLeave
        self.slow = slow
    }

    /// The namespaces that exist without configuration.
    package static let builtIn: [Namespace] = [
        Namespace(name: "user", subscribe: .owner, history: ChannelHistory.builtIn["user"]),
        Namespace(
            name: "room", subscribe: .authenticated, publish: .subscriber, history: ChannelHistory.builtIn["room"],
            presence: true, joinLeave: true),
        Namespace(name: "topic", subscribe: .anyone, history: ChannelHistory.builtIn["topic"]),
        Namespace(name: "admin", subscribe: .roles(["admin"]), history: ChannelHistory.builtIn["admin"]),
        Namespace(name: "task", subscribe: .hook, history: ChannelHistory.builtIn["task"]),
        Namespace(name: "table", subscribe: .hook, history: ChannelHistory.builtIn["table"]),
        Namespace(name: ChannelName.defaultNamespace, subscribe: .authenticated),
    ]
}

/// What a shard must know of the namespace of each of its channels: small, since there are as many as channels.
struct NamespaceTraits: Sendable {
    let slow: Namespace.SlowPolicy
    let presence: Bool
    let joinLeave: Bool

    init(_ namespace: Namespace) {
        slow = namespace.slow
        presence = namespace.presence
        joinLeave = namespace.joinLeave
    }
}

/// All namespaces of a deployment, by name.
package struct NamespaceTable: Sendable, Equatable {
    private let namespaces: [String: Namespace]

    /// The built-in namespaces with `configured` put over them by name.
    package init(configured: [Namespace] = []) {
        namespaces = Dictionary(
            (Namespace.builtIn + configured).map { ($0.name, $0) }, uniquingKeysWith: { _, last in last })
    }

    package subscript(name: String) -> Namespace? { namespaces[name] }

    package var all: [Namespace] { namespaces.values.sorted { $0.name < $1.name } }
}
