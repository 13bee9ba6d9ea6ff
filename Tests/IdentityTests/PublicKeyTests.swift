import Crypto
import CryptoExtras
import Events
import Foundation
import Identity
import JSON
import Testing

@Suite("A token signed with a key of the key set")
struct PublicKeyTests {
    let now = Timestamp(seconds: 1_800_000_000)

    /// Keys of all kinds, made once: RSA takes a while.
    static let rsa = Result { try _RSA.Signing.PrivateKey(keySize: .bits2048) }
    static let p256 = P256.Signing.PrivateKey()
    static let p384 = P384.Signing.PrivateKey()
    static let p521 = P521.Signing.PrivateKey()
    static let ed25519 = Curve25519.Signing.PrivateKey()

    static func keys() throws -> [JSONValue] {
        let primitives = try rsa.get().publicKey.getKeyPrimitives()
        func point(_ x963: Data) -> (x: JSONValue, y: JSONValue) {
            let half = (x963.count - 1) / 2
            return (
                .string(Handmade.base64URL(x963.dropFirst().prefix(half))),
                .string(Handmade.base64URL(x963.suffix(half)))
            )
        }
        let (a, b, c) = (
            point(p256.publicKey.x963Representation), point(p384.publicKey.x963Representation),
            point(p521.publicKey.x963Representation)
        )
        return [
            [
                "kty": "RSA", "kid": "r", "use": "sig", "n": .string(Handmade.base64URL(primitives.modulus)),
                "e": .string(Handmade.base64URL(primitives.publicExponent)),
            ],
            ["kty": "EC", "kid": "e2", "crv": "P-256", "alg": "ES256", "x": a.x, "y": a.y],
            ["kty": "EC", "kid": "e3", "crv": "P-384", "x": b.x, "y": b.y],
            ["kty": "EC", "kid": "e5", "crv": "P-521", "x": c.x, "y": c.y],
            [
                "kty": "OKP", "kid": "o", "crv": "Ed25519",
                "x": .string(Handmade.base64URL(ed25519.publicKey.rawRepresentation)),
            ],
            ["kty": "oct", "kid": "s", "k": "c2VjcmV0"],
            ["kty": "RSA", "use": "enc", "n": "AQAB", "e": "AQAB"],
        ]
    }

    static func verifier(secret: String? = nil, _ keys: [JSONValue]? = nil) async throws -> TokenVerifier {
        let set: JSONValue = ["keys": .array(try keys ?? self.keys())]
        return try await TokenVerifier(secret: secret, jwks: set.serialized())
    }

    static func token(_ algorithm: String, kid: String?, claims: JSONValue = ["sub": "7"]) throws -> String {
        var header: JSONObject = ["alg": .string(algorithm)]
        header["kid"] = kid.map { .string($0) }
        let signed = Handmade.text(.object(header)) + "." + Handmade.text(claims)
        let bytes = Data(signed.utf8)
        let signature: Data =
            switch algorithm {
            case "RS256":
                try rsa.get().signature(for: SHA256.hash(data: bytes), padding: .insecurePKCS1v1_5).rawRepresentation
            case "RS512":
                try rsa.get().signature(for: SHA512.hash(data: bytes), padding: .insecurePKCS1v1_5).rawRepresentation
            case "PS256": try rsa.get().signature(for: SHA256.hash(data: bytes), padding: .PSS).rawRepresentation
            case "ES256": try p256.signature(for: bytes).rawRepresentation
            case "ES384": try p384.signature(for: bytes).rawRepresentation
            case "ES512": try p521.signature(for: bytes).rawRepresentation
            default: try ed25519.signature(for: bytes)
            }
        return signed + "." + Handmade.base64URL(signature)
    }

    @Test(
        "is accepted, with or without the key's id",
        arguments: [
            ("RS256", "r"), ("RS512", "r"), ("PS256", "r"), ("ES256", "e2"), ("ES384", "e3"), ("ES512", "e5"),
            ("EdDSA", "o"),
        ])
    func valid(algorithm: String, kid: String) async throws {
        let verifier = try await Self.verifier()
        #expect(try verifier.verify(try Self.token(algorithm, kid: kid), now: now).user == "7")
        #expect(try verifier.verify(try Self.token(algorithm, kid: nil), now: now).user == "7")
    }

    @Test("is refused once changed, cut, or with a signature of any length", arguments: ["RS256", "ES256", "EdDSA"])
    func tampered(algorithm: String) async throws {
        let verifier = try await Self.verifier()
        let token = try Self.token(algorithm, kid: nil)
        let parts = token.split(separator: ".").map(String.init)
        let other = [parts[0], Handmade.text(["sub": "8"]), parts[2]].joined(separator: ".")
        #expect(throws: IdentityError.badSignature) { try verifier.verify(other, now: now) }
        for length in [0, 1, 8, 63, 64, 65, 255, 256, 257, 1000] {
            let forged = parts[0] + "." + parts[1] + "." + Handmade.base64URL(Data(repeating: 1, count: length))
            #expect(throws: IdentityError.badSignature, "\(length) bytes") { try verifier.verify(forged, now: now) }
        }
    }

    @Test("is refused for a key id that is not known, and for a key of another type")
    func otherKey() async throws {
        let verifier = try await Self.verifier()
        #expect(throws: IdentityError.unknownKey) {
            try verifier.verify(try Self.token("RS256", kid: "gone"), now: now)
        }
        #expect(throws: IdentityError.unsupportedAlgorithm) {
            try verifier.verify(try Self.token("RS256", kid: "e2"), now: now)
        }
    }

    @Test("ends at its exp as well")
    func expired() async throws {
        let token = try Self.token("EdDSA", kid: nil, claims: ["sub": "7", "exp": 1])
        let verifier = try await Self.verifier()
        #expect(throws: IdentityError.expired) { try verifier.verify(token, now: now) }
    }

    @Test("cannot be forged by using a public key as an HMAC secret")
    func confusion() async throws {
        let publicKey = try Self.rsa.get().publicKey
        for secret in [publicKey.pemRepresentation, String(decoding: publicKey.derRepresentation, as: UTF8.self)] {
            let forged = Handmade.token(secret: secret, header: ["alg": "HS256", "kid": "r"], claims: ["sub": "admin"])
            let withoutSecret = try await Self.verifier()
            #expect(throws: IdentityError.unsupportedAlgorithm) { try withoutSecret.verify(forged, now: now) }
            let withSecret = try await Self.verifier(secret: "another")
            #expect(throws: IdentityError.badSignature) { try withSecret.verify(forged, now: now) }
        }
        let symmetric = Handmade.token(secret: "secret", header: ["alg": "HS256", "kid": "s"], claims: ["sub": "1"])
        let verifier = try await Self.verifier()
        #expect(throws: IdentityError.unsupportedAlgorithm) { try verifier.verify(symmetric, now: now) }
    }

    @Test("and tokens signed with the secret are accepted side by side")
    func both() async throws {
        let verifier = try await Self.verifier(secret: "s")
        #expect(try verifier.verify(TokenIssuer(secret: "s").issue(user: "1"), now: now).user == "1")
        #expect(try verifier.verify(try Self.token("ES256", kid: "e2"), now: now).user == "7")
    }

    @Test("is refused with an algorithm that its key is not for")
    func narrowedKey() async throws {
        var key = try Self.keys()[0].objectValue ?? [:]
        key["alg"] = "RS512"
        let verifier = try await Self.verifier([.object(key)])
        #expect(throws: IdentityError.unsupportedAlgorithm) {
            try verifier.verify(try Self.token("RS256", kid: "r"), now: now)
        }
        #expect(try verifier.verify(try Self.token("RS512", kid: "r"), now: now).user == "7")
    }

    @Test(
        "needs a key set that can be used; what is wrong is said",
        arguments: [
            "", "nonsense", "[]", "{}", #"{"keys": 1}"#, #"{"keys": []}"#, #"{"keys": [1, null, "x"]}"#,
            #"{"keys": [{"kty": "RSA"}]}"#, #"{"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]}"#,
            #"{"keys": [{"kty": "RSA", "n": "!!", "e": "AQAB"}]}"#,
            #"{"keys": [{"kty": "EC", "crv": "P-256", "x": "AQAB", "y": "AQAB"}]}"#,
            #"{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AQAB"}]}"#, #"{"keys": [{"kty": "oct", "k": "AQAB"}]}"#,
        ])
    func brokenSet(text: String) async {
        await #expect(throws: KeySetError.self) {
            _ = try await TokenVerifier(secret: nil, jwks: Array(text.utf8))
        }
    }
}

extension Handmade {
    static func base64URL(_ bytes: some Collection<UInt8>) -> String {
        Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }

    static func text(_ value: JSONValue) -> String { base64URL(value.serialized()) }

    static func token(secret: String, header: JSONValue, claimBytes: [UInt8]) -> String {
        let signed = text(header) + "." + base64URL(claimBytes)
        let code = HMAC<SHA256>.authenticationCode(for: Data(signed.utf8), using: SymmetricKey(data: Data(secret.utf8)))
        return signed + "." + base64URL(Array(code))
    }
}
