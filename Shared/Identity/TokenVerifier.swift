internal import Crypto
public import Events
internal import JSON

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

/// Checks JSON Web Tokens and reads who they are for.
///
/// HS256, HS384 and HS512 are checked with the secret and nothing else; RS*, PS*, ES* and EdDSA with the keys of the key
/// set and nothing else. Which algorithms are accepted follows from the keys that are there, never from the token; `none`
/// is refused. Checking is synchronous and from any thread; for HMAC it takes a few microseconds.
public struct TokenVerifier: Sendable {
    /// Longer tokens are refused unread.
    public static let maximumLength = 16_384

    private let secret: SymmetricKey?
    private let keySet: PublicKeySet?

    /// Accepts tokens that are signed with `secret`. With an empty one, none.
    public init(secret: String) {
        self.secret = secret.isEmpty ? nil : SymmetricKey(data: Array(secret.utf8))
        keySet = nil
    }

    /// Accepts tokens that are signed with `secret` or with a key of `jwks`, the content of a JWKS file.
    /// - Throws: ``KeySetError`` if the file cannot be used.
    public init(secret: String?, jwks: [UInt8]?) async throws(KeySetError) {
        self.secret = secret.flatMap { $0.isEmpty ? nil : SymmetricKey(data: Array($0.utf8)) }
        if let jwks { keySet = try await PublicKeySet(jwks: jwks) } else { keySet = nil }
    }

    /// Whether there is any key to check tokens with.
    public var acceptsTokens: Bool { secret != nil || keySet != nil }

    /// - Parameter leeway: how far the clock of whoever made the token may be off.
    public func verify(
        _ token: String, now: Timestamp, leeway: Duration = .zero
    ) throws(IdentityError) -> Identity {
        try claims(of: token).identity(now: now, leeway: leeway)
    }

    /// Checks a token for one channel, which is signed with the same keys as a connection's.
    public func verifySubscription(
        _ token: String, now: Timestamp, leeway: Duration = .zero
    ) throws(IdentityError) -> SubscriptionToken {
        try claims(of: token).subscription(now: now, leeway: leeway)
    }

    private func claims(of token: String) throws(IdentityError) -> TokenClaims {
        guard token.utf8.count <= Self.maximumLength else {
            throw .malformed("it is longer than \(Self.maximumLength) bytes")
        }
        let bytes = Array(token.utf8)
        let parts = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3 else { throw .malformed("it has not three parts with dots between them") }
        let header = try object(parts[0], "its header")
        guard let signature = Base64URL.decode(parts[2]) else { throw .malformed("its signature is not base64url") }
        try check(signature, signs: bytes[..<parts[1].endIndex], header: header)
        return TokenClaims(claims: try object(parts[1], "its claims"))
    }

    private func object(_ part: ArraySlice<UInt8>, _ name: String) throws(IdentityError) -> JSONObject {
        guard let bytes = Base64URL.decode(part) else { throw .malformed("\(name) is not base64url") }
        guard case .object(let object)? = try? JSONValue(parsing: bytes, maximumDepth: 32) else {
            throw .malformed("\(name) is not a JSON object")
        }
        return object
    }

    private func check(
        _ signature: [UInt8], signs signed: ArraySlice<UInt8>, header: JSONObject
    ) throws(IdentityError) {
        guard let name = header["alg"]?.stringValue else { throw .malformed("its header names no algorithm") }
        // Extensions that must be understood, of which there are none here.
        guard header["crit"] == nil else { throw .unsupportedAlgorithm }
        if let algorithm = HMACAlgorithm(rawValue: name) {
            guard let secret else { throw .unsupportedAlgorithm }
            guard algorithm.isValid(signature, signs: signed, key: secret) else { throw .badSignature }
        } else {
            guard let keySet else { throw .unsupportedAlgorithm }
            try keySet.check(signature, signs: signed, algorithm: name, keyID: header["kid"]?.stringValue)
        }
    }
}
