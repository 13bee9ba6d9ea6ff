internal import Foundation
internal import GatewaySession
internal import GatewayWire
internal import JSON
internal import Synchronization

/// The long-polling sessions that this gateway holds.
///
/// Thread-safe. A session's requests may come to any gateway, which asks the one that holds it.
final class LongPollSessions: Sendable {
    private let shards: ShardGroup
    private let window: Duration
    private let sessions = Mutex<[String: LongPollSession]>([:])

    /// How long a poll waits for something to come.
    static let defaultWindow = Duration.seconds(10)
    /// The kind of requests between gateways.
    static let kind = "longpoll"

    init(shards: ShardGroup, window: Duration = LongPollSessions.defaultWindow) {
        self.shards = shards
        self.window = window
    }

    /// Opens a session on this gateway.
    /// - Returns: nil if the client is not let in.
    func open(
        _ codec: any WireProtocol, _ protocolID: WireProtocolID, node: String, authorization: String?,
        trace: TraceContext?
    ) async -> LongPollSession? {
        let (reactor, shard) = shards.anyWithReactor()
        let session = LongPollSession(
            token: LongPollToken(node: node, session: UUID().uuidString.lowercased()), reactor: reactor, shard: shard,
            window: window, onEnd: { [weak self] in self?.ended($0) })
        sessions.withLock { $0[session.token.session] = session }
        return await session.open(codec, protocolID, authorization: authorization, trace: trace) ? session : nil
    }

    /// Whether sessions are no longer opened here.
    var isLeaving: Bool { shards.isDraining }

    private func ended(_ session: LongPollSession) {
        sessions.withLock { $0[session.token.session] = nil }
    }

    /// Carries out a request for a session that this gateway holds, or held.
    func carryOut(_ request: LongPollRequest, of session: String, _ answer: @escaping LongPollSession.Answer) {
        guard let session = sessions.withLock({ $0[session] }) else { return answer(.gone) }
        switch request {
        case .poll: session.poll(answer)
        case .push(let frames): session.push(frames, answer)
        case .violation(let disconnect):
            session.violated(disconnect)
            answer(.badRequest)
        }
    }

    /// Answers other gateways.
    func serve(_ nodes: NodeRequests) {
        nodes.serve(LongPollSessions.kind) { [self] body, reply in
            guard let session = body["session"]?.stringValue, let request = LongPollRequest(body) else {
                return reply(LongPollAnswer.badRequest.json)
            }
            carryOut(request, of: session) { reply($0.json) }
        }
    }
}

/// What a client asks of its session.
enum LongPollRequest: Sendable, Equatable {
    case poll
    case push([[UInt8]])
    case violation(Disconnect)

    init?(_ json: JSONValue) {
        switch json["what"]?.stringValue {
        case "poll": self = .poll
        case "push":
            guard let frames = json["frames"]?.arrayValue else { return nil }
            self = .push(frames.compactMap { $0.stringValue.flatMap(LongPollFrame.decode) })
        case "violation": self = .violation(.messageTooBig)
        default: return nil
        }
    }

    func json(session: String) -> JSONValue {
        switch self {
        case .poll: ["what": "poll", "session": .string(session)]
        case .push(let frames):
            [
                "what": "push", "session": .string(session),
                "frames": .array(frames.map { .string(LongPollFrame.encode($0)) }),
            ]
        case .violation: ["what": "violation", "session": .string(session)]
        }
    }
}

/// A frame as one line of a push: JSON text as it is, anything else in base64.
enum LongPollFrame {
    /// Nil for what is neither.
    static func decode(_ line: some StringProtocol) -> [UInt8]? {
        switch line.utf8.first {
        case UInt8(ascii: "["), UInt8(ascii: "{"): Array(line.utf8)
        default: Data(base64Encoded: String(line)).map(Array.init)
        }
    }

    static func encode(_ frame: [UInt8]) -> String {
        if let first = frame.first, first == UInt8(ascii: "[") || first == UInt8(ascii: "{"),
            let text = String(validating: frame, as: UTF8.self)
        {
            return text
        }
        return Data(frame).base64EncodedString()
    }
}

extension LongPollAnswer {
    /// As gateways send it to one another; the client's has its token besides.
    var json: JSONValue {
        [
            "status": .integer(Int64(status)),
            "messages": .array(messages.map { .string(String(decoding: $0, as: UTF8.self)) }),
        ]
    }

    init?(_ json: JSONValue) {
        guard let status = json["status"]?.integerValue.flatMap({ Int(exactly: $0) }),
            let messages = json["messages"]?.arrayValue
        else { return nil }
        self.init(status: status, messages: messages.compactMap(\.stringValue).map { Array($0.utf8) })
    }
}
