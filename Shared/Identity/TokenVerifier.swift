public import Events
internal import JSON

/// Checks JSON Web Tokens and reads who they are for.
///
/// HS256, HS384 and HS512 are checked with the secret and nothing else; RS*, PS*, ES* and EdDSA with the keys of the key
/// set and nothing else. Which algorithms are accepted follows from the keys that are there, never from the token; `none`
/// is refused. Checking is synchronous and from any thread; for HMAC it takes a few microseconds; see
/// ``TokenMemory`` for tokens that come again.
public struct TokenVerifier: Sendable {
    /// Longer tokens are refused unread.
    public static let maximumLength = 16_384

    private let secret: SharedSecret?
    private let keySet: PublicKeySet?

    /// Accepts tokens that are signed with `secret`. With an empty one, none.
    public init(secret: String) {
        self.secret = secret.isEmpty ? nil : SharedSecret(secret)
        keySet = nil
    }

    /// Accepts tokens that are signed with `secret` or with a key of `jwks`, the content of a JWKS file.
    /// - Throws: ``KeySetError`` if the file cannot be used.
    public init(secret: String?, jwks: [UInt8]?) async throws(KeySetError) {
        self.secret = secret.flatMap { $0.isEmpty ? nil : SharedSecret($0) }
        if let jwks { keySet = try await PublicKeySet(jwks: jwks) } else { keySet = nil }
    }

    /// Whether there is any key to check tokens with.
    public var acceptsTokens: Bool { secret != nil || keySet != nil }

    /// - Parameter leeway: how far the clock of whoever made the token may be off.
    public func verify(
        _ token: String, now: Timestamp, leeway: Duration = .zero
    ) throws(IdentityError) -> Identity {
        try claims(of: token).identity(now: now, leeway: leeway).0
    }

    /// Checks a token for one channel, which is signed with the same keys as a connection's.
    public func verifySubscription(
        _ token: String, now: Timestamp, leeway: Duration = .zero
    ) throws(IdentityError) -> SubscriptionToken {
        try claims(of: token).subscription(now: now, leeway: leeway).0
    }

    func claims(of token: String) throws(IdentityError) -> TokenClaims {
        guard token.utf8.count <= Self.maximumLength else {
            throw .malformed("it is longer than \(Self.maximumLength) bytes")
        }
        let bytes = Array(token.utf8)
        let parts = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3 else { throw .malformed("it has not three parts with dots between them") }
        let header = try object(parts[0], "its header") { reader throws(JSONError) in try TokenHeader(&reader) }
        guard let signature = Base64URL.decode(parts[2]) else { throw .malformed("its signature is not base64url") }
        try check(signature, signs: bytes[..<parts[1].endIndex], header: header)
        return try object(parts[1], "its claims") { reader throws(JSONError) in try TokenClaims(&reader) }
    }

    /// Reads an object, whose members `members` takes.
    private func object<Object>(
        _ part: ArraySlice<UInt8>, _ name: String, _ members: (inout JSONReader) throws(JSONError) -> Object
    ) throws(IdentityError) -> Object {
        guard let bytes = Base64URL.decode(part) else { throw .malformed("\(name) is not base64url") }
        let object = try? JSONReader.read(bytes, maximumDepth: 32) { reader throws(JSONError) -> Object? in
            guard try reader.beginObject() else { return nil }
            let object = try members(&reader)
            try reader.finish()
            return object
        }
        guard let object = object ?? nil else { throw .malformed("\(name) is not a JSON object") }
        return object
    }

    private func check(
        _ signature: [UInt8], signs signed: ArraySlice<UInt8>, header: TokenHeader
    ) throws(IdentityError) {
        guard let name = header.algorithm else { throw .malformed("its header names no algorithm") }
        // Extensions that must be understood, of which there are none here.
        guard !header.hasCriticalExtensions else { throw .unsupportedAlgorithm }
        if let algorithm = HMACAlgorithm(rawValue: name) {
            guard let secret else { throw .unsupportedAlgorithm }
            guard secret.signed(signed, with: algorithm, as: signature) else { throw .badSignature }
        } else {
            guard let keySet else { throw .unsupportedAlgorithm }
            try keySet.check(signature, signs: signed, algorithm: name, keyID: header.keyID)
        }
    }
}
