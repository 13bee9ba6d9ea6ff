import Events
import Identity
import JSON
import TestKit
import Testing

@Suite("A token signed with the secret")
struct TokenVerifierTests {
    let now = Timestamp(seconds: 1_800_000_000)
    let issuer = TokenIssuer(secret: "correct horse")
    let verifier = TokenVerifier(secret: "correct horse")

    @Test("says who the client is, what it may and until when")
    func valid() throws {
        let capability = Capability(channels: ["room:*"], match: .wildcard, operations: [.subscribe, .presence])
        let token = issuer.issue(
            user: "42", roles: ["admin", "staff"], info: ["name": "Åsa"], capabilities: [capability],
            expiresAt: now.advanced(by: .seconds(60)), notBefore: now, issuedAt: now)
        let identity = try verifier.verify(token, now: now)
        #expect(identity.user == "42")
        #expect(identity.roles == ["admin", "staff"])
        #expect(identity.info == ["name": "Åsa"])
        #expect(identity.capabilities == [capability])
        #expect(identity.expiresAt == now.advanced(by: .seconds(60)))
    }

    @Test("is accepted as others make it: the example of jwt.io")
    func foreign() throws {
        let token = """
            eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.\
            eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.\
            SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c
            """
        let verifier = TokenVerifier(secret: "your-256-bit-secret")
        #expect(try verifier.verify(token, now: now).user == "1234567890")
    }

    @Test("works with each HMAC algorithm, and with secrets shorter than the digest", arguments: HMACAlgorithm.allCases)
    func algorithms(algorithm: HMACAlgorithm) throws {
        let token = TokenIssuer(secret: "s", algorithm: algorithm).issue(user: "1")
        #expect(try TokenVerifier(secret: "s").verify(token, now: now).user == "1")
        #expect(throws: IdentityError.badSignature) { try TokenVerifier(secret: "S").verify(token, now: now) }
    }

    @Test("ends at its exp, to the second")
    func expiry() throws {
        let token = issuer.issue(user: "1", expiresAt: now)
        #expect(try verifier.verify(token, now: now.advanced(by: .seconds(-1))).user == "1")
        #expect(throws: IdentityError.expired) { try verifier.verify(token, now: now) }
        #expect(try verifier.verify(token, now: now, leeway: .seconds(5)).user == "1")
        #expect(IdentityError.expired.isExpired)
        #expect(!IdentityError.badSignature.isExpired)
    }

    @Test("begins at its nbf")
    func begin() throws {
        let token = issuer.issue(user: "1", notBefore: now)
        #expect(throws: IdentityError.notYetValid) {
            try verifier.verify(token, now: now.advanced(by: .seconds(-1)))
        }
        #expect(try verifier.verify(token, now: now).user == "1")
    }

    @Test("is refused with another secret, and with any byte changed")
    func tampered() throws {
        let token = issuer.issue(user: "1", roles: ["admin"])
        #expect(throws: IdentityError.badSignature) { try TokenVerifier(secret: "other").verify(token, now: now) }
        let bytes = Array(token.utf8)
        for index in bytes.indices {
            var changed = bytes
            changed[index] = changed[index] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
            #expect(throws: IdentityError.self, "byte \(index)") {
                try verifier.verify(String(decoding: changed, as: UTF8.self), now: now)
            }
        }
    }

    @Test("is refused when cut anywhere")
    func truncated() {
        let token = issuer.issue(user: "1")
        for length in 0..<token.utf8.count {
            #expect(throws: IdentityError.self, "\(length) bytes") {
                try verifier.verify(String(token.prefix(length)), now: now)
            }
        }
    }

    @Test("with algorithm none is refused", arguments: ["none", "None", "NONE", "nOnE", "", "HS1", "hs256"])
    func unsigned(name: String) {
        for signature in ["", "AA"] {
            let token = Handmade.text(["alg": .string(name)]) + "." + Handmade.text(["sub": "1"]) + "." + signature
            #expect(throws: IdentityError.unsupportedAlgorithm) { try verifier.verify(token, now: now) }
        }
    }

    @Test("with a critical extension is refused")
    func critical() {
        let token = Handmade.token(
            secret: "correct horse", header: ["alg": "HS256", "crit": ["x"]], claims: ["sub": "1"])
        #expect(throws: IdentityError.unsupportedAlgorithm) { try verifier.verify(token, now: now) }
    }

    @Test("is refused whatever it is when there is no secret")
    func emptySecret() {
        let token = TokenIssuer(secret: "").issue(user: "1")
        #expect(throws: IdentityError.unsupportedAlgorithm) { try TokenVerifier(secret: "").verify(token, now: now) }
        #expect(!TokenVerifier(secret: "").acceptsTokens)
    }

    @Test(
        "that is no token at all is refused as malformed",
        arguments: [
            "", ".", "..", "...", "a.b.c", "a.b", "....", "🙂.🙂.🙂", "e30.e30.e30", "e30.e30.", "\u{0}.\u{0}.\u{0}",
            "eyJhbGciOiJIUzI1NiJ9..", "W10.W10.AA", "bnVsbA.bnVsbA.AA", "eyJhbGciOjF9.e30.AA", " . . ",
            "eyJhbGciOiJIUzI1NiJ9.e30.A", "eyJhbGciOiJIUzI1NiJ9=.e30.AA",
        ])
    func garbage(token: String) {
        #expect {
            try verifier.verify(token, now: now)
        } throws: { error in
            switch error as? IdentityError {
            case .malformed?, .badSignature?: true
            default: false
            }
        }
    }

    @Test("that is huge is refused unread")
    func huge() {
        let token = issuer.issue(user: "1", info: ["blob": .string(String(repeating: "x", count: 1_000_000))])
        #expect(throws: IdentityError.malformed("it is longer than 16384 bytes")) {
            try verifier.verify(token, now: now)
        }
    }

    @Test(
        "whose claims are no JSON object is refused, though it is signed",
        arguments: [
            "", "{", "null", "[]", "\"1\"", "1", "{\"sub\":\"1\"}x", "\u{FEFF}{}",
        ])
    func notJSON(claims: String) {
        let token = Handmade.token(secret: "correct horse", header: ["alg": "HS256"], claimBytes: Array(claims.utf8))
        #expect(throws: IdentityError.malformed("its claims is not a JSON object")) {
            try verifier.verify(token, now: now)
        }
    }

    @Test("of random bytes never gets in and never traps", arguments: 0..<200 as Range<UInt64>)
    func random(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let alphabet = Array("AZaz09-_.=+/ \u{0}é")
        let token = String(
            (0..<Int.random(in: 0...400, using: &generator)).map { _ in alphabet.randomElement(using: &generator)! })
        #expect(throws: IdentityError.self, "seed \(seed)") { try verifier.verify(token, now: now) }
    }
}

/// Tokens that no issuer of ours makes.
enum Handmade {
    static func token(secret: String, header: JSONValue = ["alg": "HS256"], claims: JSONValue) -> String {
        token(secret: secret, header: header, claimBytes: claims.serialized())
    }
}
