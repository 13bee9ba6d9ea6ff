import Events
import Identity
import JSON
import TestKit
import Testing

@Suite("A token for one channel") struct SubscriptionTokenTests {
    private let now = Timestamp(seconds: 1_800_000_000)
    private let issuer = TokenIssuer(secret: "correct horse")
    private let verifier = TokenVerifier(secret: "correct horse")

    @Test("says whose it is, for which channel and until when")
    func valid() throws {
        let end = now.advanced(by: .seconds(60))
        let token = issuer.issueSubscription(user: "42", channel: "room:a", expiresAt: end)
        #expect(
            try verifier.verifySubscription(token, now: now)
                == SubscriptionToken(user: "42", channel: "room:a", expiresAt: end))
        #expect(throws: IdentityError.expired) { try verifier.verifySubscription(token, now: end) }
        let anonymous = issuer.issueSubscription(user: nil, channel: "news")
        #expect(
            try verifier.verifySubscription(anonymous, now: now) == SubscriptionToken(user: nil, channel: "news"))
    }

    @Test("does not open a connection, and a connection's token opens no channel")
    func notInterchangeable() throws {
        let subscription = issuer.issueSubscription(user: "42", channel: "room:a")
        #expect(throws: IdentityError.self) { try verifier.verify(subscription, now: now) }
        let connection = issuer.issue(user: "42")
        #expect(throws: IdentityError.missingClaim("channel")) {
            try verifier.verifySubscription(connection, now: now)
        }
    }

    @Test("is refused when it is signed with another secret")
    func forged() {
        let token = TokenIssuer(secret: "wrong").issueSubscription(user: "42", channel: "room:a")
        #expect(throws: IdentityError.badSignature) { try verifier.verifySubscription(token, now: now) }
    }
}
