import Events
import Identity
import JSON
import Testing

@Suite("The claims of a token")
struct TokenClaimsTests {
    let now = Timestamp(seconds: 1_800_000_000)

    private func verify(_ claims: JSONValue) throws -> Identity {
        try TokenVerifier(secret: "k").verify(Handmade.token(secret: "k", claims: claims), now: now)
    }

    @Test("sub may be a string or a whole number, and empty for an anonymous user")
    func subject() throws {
        #expect(try verify(["sub": "42"]).user == "42")
        #expect(try verify(["sub": 42]).user == "42")
        #expect(try verify(["sub": ""]).user == nil)
        #expect(throws: IdentityError.missingClaim("sub")) { try verify([:]) }
        #expect(throws: IdentityError.missingClaim("sub")) { try verify(["sub": nil]) }
    }

    @Test(
        "of the wrong kind are named in the error",
        arguments: [
            ("sub", true), ("sub", 1.5), ("sub", ["1"]), ("sub", "a\r\nNats-Msg-Id: b"),
            ("sub", .string(String(repeating: "x", count: 201))), ("roles", "admin"), ("roles", [1]),
            ("roles", ["a,b"]),
            ("roles", [""]), ("info", "x"), ("info", [1]), ("caps", [:]), ("caps", [1]),
            ("caps", [["channels": ["a"]]]),
            ("caps", [["channels": [1], "allow": ["sub"]]]),
            ("caps", [["channels": ["a"], "match": "regex", "allow": ["sub"]]]), ("exp", "soon"), ("exp", true),
            ("exp", 1e300), ("nbf", "x"),
        ] as [(String, JSONValue)])
    func wrongKind(name: String, value: JSONValue) {
        var claims: JSONObject = ["sub": "1"]
        claims[name] = value
        #expect {
            try verify(.object(claims))
        } throws: { error in
            if case .invalidClaim(name, _)? = error as? IdentityError { true } else { false }
        }
    }

    @Test("exp may have a fraction and any size without a trap")
    func times() throws {
        #expect(try verify(["sub": "1", "exp": 1_800_000_000.5]).expiresAt == now.advanced(by: .milliseconds(500)))
        #expect(try verify(["sub": "1", "exp": .integer(.max)]).user == "1")
        #expect(throws: IdentityError.expired) { try verify(["sub": "1", "exp": .integer(.min)]) }
        #expect(throws: IdentityError.expired) { try verify(["sub": "1", "exp": 0]) }
        #expect(throws: IdentityError.notYetValid) { try verify(["sub": "1", "nbf": .integer(.max)]) }
        #expect(try verify(["sub": "1", "exp": nil]).expiresAt == nil)
    }

    @Test("caps match exactly unless they say wildcard, and unknown operations give nothing")
    func capabilities() throws {
        let identity = try verify([
            "sub": "1",
            "caps": [
                ["channels": ["room:a", "*"], "allow": ["sub", "fly"]],
                ["channels": ["chat:*:x"], "match": "wildcard", "allow": ["pub"]],
            ],
        ])
        func allows(_ channel: String, _ operation: Capability.Operation) throws -> Bool {
            identity.allows(channel: try ChannelName(channel), operation: operation)
        }
        #expect(try allows("room:a", .subscribe))
        #expect(try !allows("room:b", .subscribe), "a star in an exact match is only a star")
        #expect(try !allows("room:a", .publish))
        #expect(try allows("chat:1:x", .publish))
        #expect(try !allows("chat:1:xy", .publish))
    }

    @Test(
        "a wildcard stands for any bytes",
        arguments: [
            ("*", "room:a", true), ("room:*", "room:", true), ("room:*", "room", false), ("*:a", "room:a", true),
            ("r*m:*a*", "room:bab", true), ("a*b*c", "aXbYc", true), ("a*b*c", "acb", false), ("**", "x", true),
            ("", "x", false), ("room:?", "room:a", false), ("*é*", "caféx", true),
        ])
    func wildcard(pattern: String, channel: String, matches: Bool) {
        let capability = Capability(channels: [pattern], match: .wildcard, operations: [.subscribe])
        #expect(capability.allows(channel: channel, operation: .subscribe) == matches)
    }

    @Test("a wildcard with many stars is decided quickly", .timeLimit(.minutes(1)))
    func manyStars() {
        let pattern = String(repeating: "a*", count: 2000) + "b"
        let capability = Capability(channels: [pattern], match: .wildcard, operations: [.subscribe])
        #expect(!capability.allows(channel: String(repeating: "a", count: 8000), operation: .subscribe))
    }

    @Test("a channel of namespace default is meant however it is written")
    func defaultNamespace() throws {
        let short = Capability(channels: ["news"], operations: [.subscribe])
        let long = Capability(channels: ["default:news"], operations: [.subscribe])
        #expect(short.allows(channel: try ChannelName("default:news"), operation: .subscribe))
        #expect(long.allows(channel: try ChannelName("news"), operation: .subscribe))
    }

    @Test("errors hold nothing of the token")
    func discretion() {
        let error = #expect(throws: IdentityError.self) { try verify(["sub": ["tell-nobody"]]) }
        #expect(error?.description.contains("tell-nobody") == false)
    }
}
