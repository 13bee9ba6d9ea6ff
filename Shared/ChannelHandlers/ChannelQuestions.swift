public import EventBus
public import Events
public import JSON

/// The gateway's question whether somebody may subscribe, on `apus.hook.<namespace>.subscribe`.
///
/// ```
/// {"channel":"chat:lobby","user":"42","client":"7f3a","data":{"since":17},"renewal":true}
/// ```
public struct ChannelJoin: Sendable, Equatable {
    public var channel: ChannelName
    public var caller: Caller
    /// What the client sent with its wish to join; null if nothing.
    public var data: JSONValue
    /// Whether the client is subscribed already and ``JoinAnswer/expiresIn`` is over; refusing ends the subscription.
    public var isRenewal: Bool
    /// Of the request: `traceparent` and `tracestate`, if the client's call carried them.
    public var headers: BusHeaders

    public init(
        channel: ChannelName, caller: Caller, data: JSONValue = .null, isRenewal: Bool = false,
        headers: BusHeaders = [:]
    ) {
        self.channel = channel
        self.caller = caller
        self.data = data
        self.isRenewal = isRenewal
        self.headers = headers
    }

    init(_ request: RPCRequest, namespace: String) throws(RPCError) {
        let question = try HookQuestion(request, namespace: namespace)
        self.init(
            channel: question.channel, caller: question.caller, data: question.members["data"] ?? .null,
            isRenewal: question.members["renewal"]?.boolValue ?? false, headers: request.headers)
    }
}

/// What a client sent on a channel, asked on `apus.hook.<namespace>.publish`.
///
/// ```
/// {"channel":"chat:lobby","user":"42","client":"7f3a","event":"message","data":{"text":"hi"}}
/// ```
public struct ChannelEvent: Sendable, Equatable {
    public var channel: ChannelName
    public var caller: Caller
    /// The event's name; `message` from protocols whose messages have none.
    public var name: String
    public var data: JSONValue
    public var headers: BusHeaders

    public init(
        channel: ChannelName, caller: Caller, name: String = "message", data: JSONValue, headers: BusHeaders = [:]
    ) {
        self.channel = channel
        self.caller = caller
        self.name = name
        self.data = data
        self.headers = headers
    }

    /// The longest name of an event that a client may send.
    static let maximumNameBytes = 200

    init(_ request: RPCRequest, namespace: String) throws(RPCError) {
        let question = try HookQuestion(request, namespace: namespace)
        guard let data = question.members["data"] else { throw RPCError(400, "the question holds no data") }
        let name = question.members["event"].map { $0.stringValue ?? "" } ?? "message"
        // It becomes a header's value where the event is broadcast.
        let isName =
            (1...ChannelEvent.maximumNameBytes).contains(name.utf8.count)
            && name.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
        guard isName else {
            throw RPCError(
                400, "an event's name is a text of at most \(ChannelEvent.maximumNameBytes) bytes on one line")
        }
        self.init(
            channel: question.channel, caller: question.caller, name: name, data: data, headers: request.headers)
    }
}

/// The end of a subscription that a ``ChannelHandler/join(_:)`` admitted, told on `apus.hook.<namespace>.leave`.
///
/// ```
/// {"channel":"chat:lobby","user":"42","client":"7f3a","reason":"disconnected"}
/// ```
public struct ChannelLeave: Sendable, Equatable {
    public var channel: ChannelName
    public var caller: Caller
    /// Why, in the gateway's words; for logs.
    public var reason: String

    public init(channel: ChannelName, caller: Caller, reason: String) {
        self.channel = channel
        self.caller = caller
        self.reason = reason
    }

    init(_ request: RPCRequest, namespace: String) throws(RPCError) {
        let question = try HookQuestion(request, namespace: namespace)
        self.init(
            channel: question.channel, caller: question.caller,
            reason: question.members["reason"]?.stringValue ?? "")
    }
}

/// What all questions of the gateway have in common.
private struct HookQuestion {
    var members: JSONObject
    var channel: ChannelName
    var caller: Caller

    init(_ request: RPCRequest, namespace: String) throws(RPCError) {
        guard let members = request.parameters.objectValue else {
            throw RPCError(400, "the question is \(request.parameters.kindDescription), not an object")
        }
        guard let text = members["channel"]?.stringValue, let channel = try? ChannelName(text) else {
            throw RPCError(400, "the question names no channel")
        }
        guard channel.namespace == namespace else {
            throw RPCError(400, "this service answers for channels of namespace \(namespace) only")
        }
        self.members = members
        self.channel = channel
        // Roles stand in the headers only; who it is, in both.
        caller = Caller(
            user: members["user"]?.stringValue ?? request.caller.user, roles: request.caller.roles,
            client: members["client"]?.stringValue ?? request.caller.client)
    }
}
