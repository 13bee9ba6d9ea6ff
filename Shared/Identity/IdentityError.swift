/// Why a token is refused. The descriptions are for clients and logs: nothing of the token stands in them.
public enum IdentityError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Not a JSON Web Token at all; the text says in which part.
    case malformed(String)
    /// An algorithm for which there is no key here, `none` among them.
    case unsupportedAlgorithm
    /// The token names a key that is not in the key set.
    case unknownKey
    /// Not signed with one of our keys, or changed since.
    case badSignature
    /// It ended. The client may get a new one and go on.
    case expired
    /// It begins later.
    case notYetValid
    case missingClaim(String)
    /// A claim of the wrong kind or out of bounds; the text says what is expected.
    case invalidClaim(String, String)

    /// Whether a new token would help: the client asks its backend for one instead of giving up.
    public var isExpired: Bool { self == .expired }

    public var description: String {
        switch self {
        case .malformed(let part): "the token is malformed: \(part)"
        case .unsupportedAlgorithm: "the token is signed with an algorithm that is not accepted"
        case .unknownKey: "the token is signed with a key that is not known"
        case .badSignature: "the token's signature is wrong"
        case .expired: "the token has expired"
        case .notYetValid: "the token is not valid yet"
        case .missingClaim(let name): "the token has no claim \(name)"
        case .invalidClaim(let name, let expected): "the token's claim \(name) must be \(expected)"
        }
    }
}

/// Why a file of keys cannot be used; for the operator.
public struct KeySetError: Error, Sendable, Equatable, CustomStringConvertible {
    public let message: String

    public init(_ message: String) { self.message = message }

    public var description: String { message }
}
