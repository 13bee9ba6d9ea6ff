internal import Foundation
internal import GatewaySession
internal import GatewayWire

/// What a Phoenix client says when it opens a socket, by WebSocket or by long polling.
struct PhoenixOpening {
    /// Which version of the protocol is spoken.
    enum Version: Equatable {
        case objects
        case arrays
    }

    let version: Version
    /// Where a token may be, in the order in which they count; those that must be good.
    private let tokens: [String]
    /// Supabase's clients always send something here; it is a token only if it is a good one.
    private let apiKey: String?

    private static let protocolName = "phoenix"
    private static let tokenPrefix = "base64url.bearer.phx."

    /// - Parameters:
    ///   - offered: the members of `Sec-WebSocket-Protocol`.
    ///   - headerToken: of `Authorization` or, for long polling, `X-Phoenix-AuthToken`.
    /// - Returns: nil for a version that is not spoken here.
    init?(query: [(name: String, value: String)], offered: [String] = [], headerToken: String?) {
        func parameter(_ name: String) -> String? {
            query.first { $0.name == name && !$0.value.isEmpty && !LongPollToken.isOne($0.value) }?.value
        }
        // As Phoenix has it, who names no version speaks the first.
        switch parameter("vsn")?.prefix(while: { $0 != "." }) ?? "1" {
        case "1": version = .objects
        case "2": version = .arrays
        default: return nil
        }
        tokens = [
            parameter("token"), parameter("params[token]"), PhoenixOpening.token(of: offered), headerToken,
        ].compactMap { $0 }
        apiKey = parameter("apikey")
    }

    /// The subprotocol to confirm: a browser closes a socket for which it offered some and got none.
    static func subprotocol(of offered: [String]) -> String? {
        offered.contains(protocolName) ? protocolName : nil
    }

    private static func token(of offered: [String]) -> String? {
        guard let member = offered.first(where: { $0.hasPrefix(tokenPrefix) }) else { return nil }
        // phoenix.js writes the standard alphabet, without padding.
        var text = String(member.dropFirst(tokenPrefix.count)).replacing("-", with: "+").replacing("_", with: "/")
        while text.last == "=" { text.removeLast() }
        text += String(repeating: "=", count: (4 - text.count % 4) % 4)
        guard let bytes = Data(base64Encoded: text), !bytes.isEmpty else { return nil }
        return String(validating: bytes, as: UTF8.self)
    }

    /// - Parameter isGood: whether a token is valid now.
    func token(isGood: (String) -> Bool) -> String? { tokens.first ?? apiKey.flatMap { isGood($0) ? $0 : nil } }

    /// The codec and its name in the table.
    func codec(aliasesSupabase: Bool) -> (any WireProtocol, WireProtocolID) {
        switch version {
        case .arrays: (Phoenix<PhoenixArrays>(aliasesSupabase: aliasesSupabase), .phoenix)
        case .objects: (Phoenix<PhoenixObjects>(aliasesSupabase: aliasesSupabase), .phoenixObjects)
        }
    }
}

/// What a long-polling client shows with each request: where its session is. Nobody can guess one.
struct LongPollToken: Equatable {
    let node: String
    let session: String

    private static let prefix = "apuslp"

    init(node: String, session: String) {
        self.node = node
        self.session = session
    }

    init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == LongPollToken.prefix, LongPollToken.isID(parts[1]),
            LongPollToken.isID(parts[2])
        else { return nil }
        node = String(parts[1])
        session = String(parts[2])
    }

    /// Both parts go into subjects and tables: nothing but letters, digits and hyphens.
    private static func isID(_ text: Substring) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy {
                (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0) || $0 == 0x2D
            }
    }

    static func isOne(_ text: String) -> Bool { LongPollToken(text) != nil }

    var text: String { "\(LongPollToken.prefix).\(node).\(session)" }
}

/// What decides about Phoenix clients and is the same for all.
struct PhoenixRules: Sendable {
    /// Whether `realtime:` before a channel's name, which Supabase's clients put there, is no namespace of its own.
    let aliasesSupabase: Bool
    /// Whether a token is valid now.
    let isGood: @Sendable (String) -> Bool

    init(_ services: EdgeServices) {
        aliasesSupabase = services.policy.namespaces["realtime"] == nil
        let verify = services.verify
        let clock = services.clock
        isGood = { token in (try? verify(token, clock.time())) != nil }
    }
}
