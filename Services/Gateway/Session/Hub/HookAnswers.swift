internal import GatewayWire
internal import JSON

/// What a hook says to a subscription that it admits.
package struct SubscribeGrant: Sendable, Equatable {
    /// For the client, as JSON text.
    package var data: [UInt8]?
    /// After so long the hook is asked again; nil is never.
    package var expiresIn: Duration?

    package init(data: [UInt8]? = nil, expiresIn: Duration? = nil) {
        self.data = data
        self.expiresIn = expiresIn
    }

    /// Reads the `result` of an answer; nil for what is none.
    init?(_ result: JSONValue) {
        guard result.isNull || result.objectValue != nil else { return nil }
        data = HookAnswer.text(result["data"])
        switch result["expires_in"] {
        case nil, .null?: expiresIn = nil
        case .integer(let seconds)? where (1...SubscribeGrant.maximumSeconds).contains(seconds):
            expiresIn = .seconds(seconds)
        case .double(let seconds)? where seconds >= 0.001 && seconds <= Double(SubscribeGrant.maximumSeconds):
            expiresIn = .milliseconds(Int64(seconds * 1000))
        default: return nil
        }
    }

    /// A hundred years, far from where arithmetic with times could overflow.
    private static let maximumSeconds: Int64 = 3_153_600_000
}

/// What a hook says to a publication that it admits.
package struct PublishGrant: Sendable, Equatable {
    /// What is published: the client's own, or what the hook put in its place.
    package var payload: [UInt8]
    package var event: String
    /// False when the hook has dealt with it: nothing is published.
    package var isPublished: Bool
    /// For the sender, as JSON text.
    package var reply: [UInt8]?

    package init(payload: [UInt8], event: String, isPublished: Bool = true, reply: [UInt8]? = nil) {
        self.payload = payload
        self.event = event
        self.isPublished = isPublished
        self.reply = reply
    }

    /// Reads the `result` of an answer; nil for what is none.
    init?(_ result: JSONValue, _ command: PublishCommand) {
        guard result.isNull || result.objectValue != nil else { return nil }
        // Null is a payload; only a member that is not there leaves the client's.
        payload = result["data"]?.serialized() ?? command.payload
        switch result["event"] {
        case nil, .null?: event = command.event
        case .string(let name)? where EventName.isValid(name): event = name
        default: return nil
        }
        switch result["publish"] {
        case nil, .null?: isPublished = true
        case .bool(let flag)?: isPublished = flag
        default: return nil
        }
        reply = HookAnswer.text(result["reply"])
    }
}

private enum HookAnswer {
    /// A member as JSON text; nil when it is not there or null.
    static func text(_ value: JSONValue?) -> [UInt8]? {
        guard let value, !value.isNull else { return nil }
        return value.serialized()
    }
}

/// The name of a message's event, which travels in a header.
enum EventName {
    static let maximumLength = 200

    static func isValid(_ name: String) -> Bool {
        (1...maximumLength).contains(name.utf8.count) && name.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
    }
}

/// What a publisher calls a message. Streams remember it for a while, so that its length is bounded.
package enum MessageKey {
    package static let maximumLength = 200

    package static func isValid(_ key: String) -> Bool { (1...maximumLength).contains(key.utf8.count) }
}

/// Why a subscription ended, as the service behind a hook is told.
package enum LeaveReason: String, Sendable, Equatable {
    /// The client unsubscribed.
    case unsubscribe
    /// The connection ended.
    case disconnect
    /// Its time was over, or whoever admitted it no longer does.
    case expired
    /// The server ended it, by its API or since the channel's continuity was lost.
    case server
}
