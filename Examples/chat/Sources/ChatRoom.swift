import ChannelHandlers
import EventBus
import JSON

/// One room, channel `chat:<name>`. What it knows is in the database, so that any process may answer for it, and a
/// killed one has lost nothing.
actor ChatRoom: ChannelHandler {
    static let latest = 50
    static let maximumLength = 2000

    private let name: String
    private let store: ChatStore

    init(_ name: String, _ store: ChatStore) {
        self.name = name
        self.store = store
    }

    /// Lets in whoever is signed in, with the latest messages. A client that comes back gets them again: it puts messages
    /// in the order of their ids and passes over those that it has.
    func join(_ join: ChannelJoin) async throws -> JoinAnswer {
        guard join.caller.user != nil else { throw RPCError(401, "sign in to chat") }
        return .welcome(["room": .string(name), "messages": .array(try await store.messages(in: name))])
    }

    func handle(_ event: ChannelEvent) async throws -> EventAnswer {
        guard let user = event.caller.user else { throw RPCError(401, "sign in to chat") }
        switch kind(of: event) {
        case "message": return try await keep(event.data, by: user)
        case "typing": return .broadcastToOthers(["user": .string(user)], event: "typing", storing: false)
        case "older":
            guard let before = event.data["before"]?.integerValue else {
                throw RPCError(400, "before is a message's id")
            }
            return .reply(["messages": .array(try await store.messages(in: name, before: before))])
        case let other: throw RPCError(404, "a chat room has no event \(other)")
        }
    }

    /// The event's name. Clients whose protocol has no names for events write it into the data, as `type`.
    private func kind(of event: ChannelEvent) -> String {
        event.name == "message" ? event.data["type"]?.stringValue ?? event.name : event.name
    }

    /// Stores it, then has it sent to everybody with its id. One that its sender sends again, since it did not learn
    /// what became of it, has the same `key` and is stored once.
    private func keep(_ data: JSONValue, by user: String) async throws -> EventAnswer {
        guard let text = data["text"]?.stringValue, (1...ChatRoom.maximumLength).contains(text.utf8.count) else {
            throw RPCError(400, "text has 1 to \(ChatRoom.maximumLength) bytes")
        }
        guard try await !store.isMuted(user) else { throw RPCError(403, "a moderator has muted you") }
        let message = try await store.keep(text, by: user, in: name, key: data["key"]?.stringValue)
        return .broadcast(message, event: "message", reply: ["id": message["id"] ?? nil])
    }
}
