import ChannelHandlers
import EventBus
import ServiceKit

/// `--chat-database`, `APUS_CHAT_DATABASE`, `chat.database` in the file.
struct ChatConfiguration: ServiceConfiguration {
    static let definitions = [
        SettingDefinition("chat.database", .string, default: "chat.sqlite", "the SQLite file that keeps the messages")
    ]

    var database: String

    init(from settings: inout SettingsReader) { database = settings.string("chat.database") ?? "chat.sqlite" }
}

@main struct Main {
    static func main() async {
        await ServiceProgram<ChatConfiguration>(name: "chat", summary: "an example: chat rooms with their history") {
            configuration, context in
            let store = try ChatStore(path: configuration.database)
            let rooms = ChannelHandlerService(
                namespace: "chat", name: "chat", version: "1.0.0", description: "chat rooms",
                bus: context.bus, subjects: context.subjects, logger: context.logger
            ) { channel in ChatRoom(channel.name.name, store) }
            // For moderators: a client's rpc, POST /rpc/chat.mute, or a NATS request to apus.rpc.chat.mute.
            rooms.methods.rpc("chat.mute") { request in
                guard request.caller.has(role: "moderator") else { throw RPCError(403, "moderators only") }
                guard let user = request.parameters["user"]?.stringValue else { throw RPCError(400, "user is missing") }
                let isMuted = request.parameters["muted"]?.boolValue ?? true
                try await store.mute(user, isMuted)
                return ["user": .string(user), "muted": .bool(isMuted)]
            }
            return [MicroServiceRunner(rooms.methods)]
        }.main()
    }
}
