internal import JSON
internal import JWTKit

/// The public keys of a JWKS file (RFC 7517), each with the algorithms that its type allows.
///
/// A key is never used with an algorithm of another type: what is checked with a key follows from the key, not from the
/// token that claims to be signed with it.
struct PublicKeySet: Sendable {
    struct Key: Sendable {
        let id: String?
        /// By their names in tokens.
        let algorithms: [String: any JWTAlgorithm]
    }

    let keys: [Key]

    /// Reads `{"keys": […]}`. Keys that are not for signatures or of a type unknown here are left out, as the standard
    /// asks.
    /// - Throws: ``KeySetError`` if the file is no key set, a key is broken, or none is left.
    init(jwks: [UInt8]) async throws(KeySetError) {
        let file: JSONValue
        do throws(JSONError) {
            file = try JSONValue(parsing: jwks)
        } catch {
            throw KeySetError("the key set is not JSON: \(error)")
        }
        guard let entries = file["keys"]?.arrayValue else {
            throw KeySetError(#"the key set must be an object with an array "keys""#)
        }
        var keys: [Key] = []
        for (index, entry) in entries.enumerated() {
            if let key = try await PublicKeySet.key(entry, index: index) { keys.append(key) }
        }
        guard !keys.isEmpty else {
            throw KeySetError("the key set holds no key for signatures of type RSA, EC or OKP (Ed25519)")
        }
        self.keys = keys
    }

    private static func key(_ entry: JSONValue, index: Int) async throws(KeySetError) -> Key? {
        if let use = entry["use"]?.stringValue, use != "sig" { return nil }
        let names = algorithms(for: entry)
        var algorithms: [String: any JWTAlgorithm] = [:]
        for name in names {
            do {
                algorithms[name] = try await algorithm(name, entry)
            } catch {
                throw KeySetError("key \(index + 1) of the key set is not a valid \(name) key")
            }
        }
        return algorithms.isEmpty ? nil : Key(id: entry["kid"]?.stringValue, algorithms: algorithms)
    }

    /// The names of the algorithms that a key is for: its own `alg` if it says one, else those of its type.
    private static func algorithms(for entry: JSONValue) -> [String] {
        let possible: [String]
        switch (entry["kty"]?.stringValue, entry["crv"]?.stringValue) {
        case ("RSA", _): possible = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]
        case ("EC", "P-256"): possible = ["ES256"]
        case ("EC", "P-384"): possible = ["ES384"]
        case ("EC", "P-521"): possible = ["ES512"]
        case ("OKP", "Ed25519"): possible = ["EdDSA"]
        default: return []
        }
        guard let own = entry["alg"]?.stringValue else { return possible }
        return possible.filter { $0 == own }
    }

    /// Only public parts are read, whatever else the file holds.
    private static func algorithm(_ name: String, _ entry: JSONValue) async throws -> any JWTAlgorithm {
        guard let algorithm = JWK.Algorithm(rawValue: name) else { throw KeySetError("unknown algorithm") }
        func member(_ key: String) throws(KeySetError) -> String {
            guard let text = entry[key]?.stringValue, let bytes = Base64URL.decode(text.utf8), !bytes.isEmpty else {
                throw KeySetError("member \(key) is missing")
            }
            return text
        }
        let id = JWKIdentifier(string: "key")
        let jwk: JWK
        switch algorithm {
        case .es256, .es384, .es512:
            jwk = .ecdsa(algorithm, identifier: id, x: try member("x"), y: try member("y"), curve: nil)
        case .eddsa:
            jwk = .octetKeyPair(algorithm, identifier: id, x: try member("x"), y: nil, curve: .ed25519)
        default:
            jwk = .rsa(algorithm, identifier: id, modulus: try member("n"), exponent: try member("e"))
        }
        return try await JWTKeyCollection().add(jwk: jwk).getKey(for: id, alg: name)
    }

    /// Whether `signature` was made by one of the keys that `keyID` (nil is any) and `algorithm` allow.
    func check(
        _ signature: [UInt8], signs bytes: ArraySlice<UInt8>, algorithm: String, keyID: String?
    ) throws(IdentityError) {
        var candidates = keys
        if let keyID {
            candidates = keys.filter { $0.id == nil || $0.id == keyID }
            guard !candidates.isEmpty else { throw .unknownKey }
        }
        let checks = candidates.compactMap { $0.algorithms[algorithm] }
        guard !checks.isEmpty else { throw .unsupportedAlgorithm }
        // A signature of an impossible length makes a check throw: wrong is wrong.
        guard checks.contains(where: { (try? $0.verify(signature, signs: bytes)) == true }) else {
            throw .badSignature
        }
    }
}
