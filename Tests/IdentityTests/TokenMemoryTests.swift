import Events
import Identity
import JSON
import Testing

@Suite("A token that is remembered")
struct TokenMemoryTests {
    private let now = Timestamp(seconds: 1_800_000_000)
    private let issuer = TokenIssuer(secret: "correct horse")

    private func memory(_ secret: String = "correct horse", places: Int = 64) -> TokenMemory {
        TokenMemory(TokenVerifier(secret: secret), places: places, secret: [1, 2, 3])
    }

    @Test("is known the second time, and stands for the same client")
    func known() throws {
        let memory = memory()
        let token = issuer.issue(user: "42", roles: ["staff"], info: ["name": "Ann"])
        let (first, second) = (try memory.verify(token, now: now), try memory.verify(token, now: now))
        #expect(!first.isKnown)
        #expect(second.isKnown)
        #expect(first.0 == second.0)
        #expect(second.0.user == "42")
        let other = try memory.verify(issuer.issue(user: "43"), now: now)
        #expect(other.0.user == "43" && !other.isKnown)
    }

    @Test("ends and begins when it says")
    func times() throws {
        let memory = memory()
        let token = issuer.issue(user: "42", expiresAt: now.advanced(by: .seconds(60)), notBefore: now)
        _ = try memory.verify(token, now: now)
        #expect(try memory.verify(token, now: now.advanced(by: .seconds(59))).isKnown)
        #expect(throws: IdentityError.expired) { try memory.verify(token, now: now.advanced(by: .seconds(60))) }
        // Somebody has set the clock.
        #expect(throws: IdentityError.notYetValid) { try memory.verify(token, now: now.advanced(by: .seconds(-1))) }
    }

    @Test("for one channel ends with itself, whenever the subscription does")
    func subscription() throws {
        let memory = memory()
        let token = issuer.issueSubscription(user: "42", channel: "room:a", expiresAt: now.advanced(by: .seconds(60)))
        let first = try memory.verifySubscription(token, now: now)
        #expect(!first.isKnown)
        let (subscription, isKnown) = try memory.verifySubscription(token, now: now)
        #expect(isKnown && subscription.channel == "room:a")
        #expect(throws: IdentityError.self) { try memory.verify(token, now: now) }
        #expect(throws: IdentityError.expired) {
            try memory.verifySubscription(token, now: now.advanced(by: .seconds(60)))
        }
    }

    @Test("opens no connection when it is for one channel, nor the other way round")
    func notInterchangeable() throws {
        let memory = memory()
        let connection = issuer.issue(user: "42")
        let channel = issuer.issueSubscription(user: "42", channel: "room:a")
        _ = try memory.verify(connection, now: now)
        _ = try memory.verifySubscription(channel, now: now)
        #expect(throws: IdentityError.missingClaim("channel")) { try memory.verifySubscription(connection, now: now) }
        #expect(throws: IdentityError.self) { try memory.verify(channel, now: now) }
    }

    @Test("is forgotten when another takes its place, and checked again")
    func replaced() throws {
        let memory = memory(places: 1)
        let tokens = (0..<3).map { issuer.issue(user: "\($0)") }
        for _ in 0..<2 {
            for (user, token) in tokens.enumerated() {
                let (identity, isKnown) = try memory.verify(token, now: now)
                #expect(identity.user == "\(user)" && !isKnown)
            }
        }
        #expect(try memory.verify(tokens[2], now: now).isKnown)
    }

    @Test("is not one that was refused")
    func refused() {
        let memory = memory("another secret")
        let token = issuer.issue(user: "42")
        for _ in 0..<2 { #expect(throws: IdentityError.badSignature) { try memory.verify(token, now: now) } }
        let long = String(repeating: "x", count: TokenVerifier.maximumLength + 1)
        #expect(throws: IdentityError.malformed("it is longer than 16384 bytes")) { try memory.verify(long, now: now) }
    }

    @Test("is none where there is no place")
    func none() throws {
        let memory = memory(places: 0)
        let token = issuer.issue(user: "42")
        for _ in 0..<2 {
            let (_, isKnown) = try memory.verify(token, now: now)
            #expect(!isKnown)
        }
    }

    @Test("by many threads at once is the same for all", .timeLimit(.minutes(1)))
    func threads() async throws {
        let memory = memory(places: 4)
        let tokens = (0..<8).map { issuer.issue(user: "\($0)") }
        let now = now
        try await withThrowingTaskGroup(of: Void.self) { group in
            for offset in 0..<4 {
                group.addTask {
                    for round in 0..<500 {
                        let user = (round + offset) % 8
                        let (identity, _) = try memory.verify(tokens[user], now: now)
                        #expect(identity.user == "\(user)")
                    }
                }
            }
            try await group.waitForAll()
        }
    }
}
