internal import Events
internal import JSON

/// What a command's body may hold. A member means the same in whichever method it stands, so that a body is read without
/// regard to its method; what is of the wrong kind counts as missing.
struct CentrifugeMembers {
    private(set) var channel: JSONReader.Slice?
    private(set) var method: JSONReader.Slice?
    private(set) var token: JSONReader.Slice?
    private(set) var idempotencyKey: JSONReader.Slice?
    private var name: JSONReader.Slice?
    /// JSON text, which is passed on as it came.
    private var data: JSONReader.Slice?
    private var position = CentrifugePosition()
    private var since: CentrifugePosition?
    private var limit: Int64?
    private var recovers = false
    private var wantsJoinLeave = false
    private var isReversed = false
    private var subscriptions: [SubscribeCommand] = []
    private var headers: JSONValue?

    /// Reads the members of an object that was begun.
    mutating func read(_ reader: inout JSONReader) throws(JSONError) {
        while let name = try reader.nextName() {
            switch name {
            case "channel": channel = try reader.string()
            case "data": data = try reader.text()
            case "token": token = try reader.string()
            case "method": method = try reader.string()
            case "name": self.name = try reader.string()
            case "idempotency_key": idempotencyKey = try reader.string()
            case "recover": recovers = try reader.bool() ?? false
            case "join_leave": wantsJoinLeave = try reader.bool() ?? false
            case "reverse": isReversed = try reader.bool() ?? false
            case "limit": limit = try reader.integer()
            case "since": since = try reader.beginObject() ? CentrifugePosition(&reader) : nil
            case "subs": subscriptions = try CentrifugeMembers.subscriptions(&reader)
            case "headers": headers = try reader.value()
            default: if try !position.read(name, &reader) { try reader.skip() }
            }
        }
    }

    /// Of several of one channel the last counts.
    private static func subscriptions(_ reader: inout JSONReader) throws(JSONError) -> [SubscribeCommand] {
        guard try reader.beginObject() else { return [] }
        var subscriptions: [SubscribeCommand] = []
        var places: [String: Int] = [:]
        while let name = try reader.nextName() {
            let channel = name.string
            var members = CentrifugeMembers()
            if try reader.beginObject() { try members.read(&reader) }
            let subscription = members.subscription(channel)
            if let place = places[channel] {
                subscriptions[place] = subscription
            } else {
                places[channel] = subscriptions.count
                subscriptions.append(subscription)
            }
        }
        return subscriptions
    }

    // MARK: What they mean

    var payload: [UInt8] { data.map(JSONText.singleLine(checked:)) ?? Array("null".utf8) }

    func connect(tokenOfAddress: String?) -> ConnectCommand {
        ConnectCommand(
            token: token?.nonEmpty ?? tokenOfAddress, name: name?.string, subscriptions: subscriptions, trace: trace)
    }

    /// Browsers cannot send headers with a WebSocket's handshake; the protocol has a map in their place.
    private var trace: TraceContext? {
        guard let headers = headers?.objectValue else { return nil }
        func header(_ name: String) -> String? { headers.first { $0.key.lowercased() == name }?.value.stringValue }
        return TraceContext(parent: header(HeaderName.traceParent), state: header(HeaderName.traceState))
    }

    func subscription(_ channel: String) -> SubscribeCommand {
        SubscribeCommand(
            channel: channel, recoverFrom: recovers ? position.value : nil, wantsJoinLeave: wantsJoinLeave,
            data: data.map(JSONText.singleLine(checked:)), token: token?.nonEmpty)
    }

    func history(_ channel: String) -> HistoryCommand {
        HistoryCommand(
            channel: channel, limit: limit.flatMap { Int(exactly: $0) } ?? 0, since: since?.value,
            isReversed: isReversed)
    }
}

/// `"epoch":"…","offset":7`, which stand in a body or in an object of their own.
private struct CentrifugePosition {
    private var epoch: JSONReader.Slice?
    private var offset: Int64?

    init() {}

    /// Reads the members of an object that was begun.
    init(_ reader: inout JSONReader) throws(JSONError) {
        while let name = try reader.nextName() {
            if try !read(name, &reader) { try reader.skip() }
        }
    }

    /// - Returns: whether the member is one of a position, and was taken.
    mutating func read(_ name: JSONReader.Slice, _ reader: inout JSONReader) throws(JSONError) -> Bool {
        switch name {
        case "epoch": epoch = try reader.string()
        case "offset": offset = try reader.integer()
        default: return false
        }
        return true
    }

    var value: StreamPosition {
        StreamPosition(epoch: epoch?.string ?? "", offset: offset.flatMap { UInt64(exactly: $0) } ?? 0)
    }
}

extension JSONReader.Slice {
    /// An empty text is none, as in Protocol Buffers.
    var nonEmpty: String? { isEmpty ? nil : string }
}
