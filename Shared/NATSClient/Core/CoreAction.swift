/// What a ``CoreMachine`` wants done, in order.
enum CoreAction: Equatable {
    /// Make a socket to this server, and say how that ended.
    case connect(CoreServer)
    /// Say who we are there; the nonce, if the server sent one, must be signed by a user with a key.
    case introduce(CoreServer, nonce: String?)
    /// Let go of the socket, or of the attempt to make one.
    case disconnect
    case emit(NATSConnectionEvent)
    /// These were waiting for the server to have seen what was sent before; nil if it has.
    case answer([UInt64], NATSError?)
    /// This connection cannot do what the server wants; nothing more will come of it.
    case giveUp(CoreObstacle)
}

/// Why another client than this one must be used.
package enum CoreObstacle: Equatable, Sendable, CustomStringConvertible {
    /// The server speaks with clients by TLS only.
    case serverRequiresTLS
    /// `tls://` in a URL.
    case configurationRequiresTLS
    case noServer

    package var description: String {
        switch self {
        case .serverRequiresTLS: "the server requires TLS"
        case .configurationRequiresTLS: "the configuration requires TLS"
        case .noServer: "no server's URL can be read"
        }
    }
}

/// What a server means by `-ERR`.
enum CoreRefusal: Equatable {
    /// It refuses something that was sent before, and the connection goes on.
    case ofCommand(NATSError)
    /// It ends the connection.
    case ofConnection(NATSError)
    case requiresTLS

    /// - Parameter text: as the server wrote it: `'Authorization Violation'`.
    init(_ text: some Sequence<UInt8>) {
        let line = String(decoding: text.prefix(256).map { $0 < 0x20 || $0 == 0x7F ? 0x20 : $0 }, as: UTF8.self)
        let words = line.lowercased()
        func says(_ texts: String...) -> Bool { texts.contains { words.contains($0) } }
        if says("permissions violation") {
            self = .ofCommand(NATSError(.permission, "the server answered: \(line)"))
        } else if says("invalid subject", "maximum subscriptions", "invalid publish subject") {
            self = .ofCommand(NATSError(.failed, "the server answered: \(line)"))
        } else if says("tls required") {
            self = .requiresTLS
        } else if says("authentication timeout", "stale connection", "slow consumer", "server shutdown") {
            // Passes by itself.
            self = .ofConnection(NATSError(.notConnected, "the server ended the connection: \(line)"))
        } else if says("authorization violation", "authentication", "authorization") {
            self = .ofConnection(NATSError(.permission, "the server ended the connection: \(line)"))
        } else {
            self = .ofConnection(NATSError(.failed, "the server ended the connection: \(line)"))
        }
    }
}

/// Numbers from a seed (SplitMix64): the machine's randomness is an argument of its making.
struct CoreRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
