internal import Crypto
public import Events
internal import Synchronization

/// Remembers who the tokens were for that a verifier has found good, so that one that comes again, with a reconnect, a
/// refresh or the next poll, is not checked from the start: the signature is known to be right, the times are compared.
///
/// Each token has one place in a table of fixed size; the later of two takes it. Tokens themselves are not kept, only a
/// digest that depends on a secret of the process, so that nobody outside can choose tokens for a place or read them from
/// memory. What is refused is not remembered. A memory lives no longer than its verifier: other keys, another memory.
/// From any thread; the lock is held for one look at the table.
public final class TokenMemory: Sendable {
    private enum Bearer {
        case identity(Identity)
        case subscription(SubscriptionToken)
    }

    private struct Entry {
        var digest: SHA256.Digest
        var bearer: Bearer
        var times: TokenTimes
    }

    private let verifier: TokenVerifier
    /// Has taken in the secret, so that each token's digest begins behind it.
    private let hasher: SHA256
    private let places: Int
    private let entries: Mutex<[Entry?]>

    /// - Parameters:
    ///   - places: how many tokens are remembered at most; 0 is none.
    ///   - secret: random bytes, new for each process.
    public init(_ verifier: TokenVerifier, places: Int, secret: [UInt8]) {
        self.verifier = verifier
        self.places = places
        var hasher = SHA256()
        hasher.update(data: secret)
        self.hasher = hasher
        entries = Mutex(Array(repeating: nil, count: places))
    }

    /// As ``TokenVerifier/verify(_:now:leeway:)``.
    /// - Returns: also whether the token was known.
    public func verify(_ token: String, now: Timestamp) throws(IdentityError) -> (Identity, isKnown: Bool) {
        let digest = digest(of: token)
        if case .identity(let identity)? = try bearer(digest, now: now) { return (identity, true) }
        let (identity, times) = try verifier.claims(of: token).identity(now: now, leeway: .zero)
        remember(digest, .identity(identity), times)
        return (identity, false)
    }

    /// As ``TokenVerifier/verifySubscription(_:now:leeway:)``.
    /// - Returns: also whether the token was known.
    public func verifySubscription(
        _ token: String, now: Timestamp
    ) throws(IdentityError) -> (SubscriptionToken, isKnown: Bool) {
        let digest = digest(of: token)
        if case .subscription(let subscription)? = try bearer(digest, now: now) { return (subscription, true) }
        let (subscription, times) = try verifier.claims(of: token).subscription(now: now, leeway: .zero)
        remember(digest, .subscription(subscription), times)
        return (subscription, false)
    }

    /// - Returns: nil for what is not remembered.
    private func digest(of token: String) -> SHA256.Digest? {
        guard places > 0, token.utf8.count <= TokenVerifier.maximumLength else { return nil }
        var hasher = hasher
        var token = token
        token.withUTF8 { hasher.update(bufferPointer: UnsafeRawBufferPointer($0)) }
        return hasher.finalize()
    }

    private func place(of digest: SHA256.Digest) -> Int {
        let number = digest.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
        return Int(number % UInt64(places))
    }

    private func bearer(_ digest: SHA256.Digest?, now: Timestamp) throws(IdentityError) -> Bearer? {
        guard let digest, let entry = entries.withLock({ $0[place(of: digest)] }), entry.digest == digest else {
            return nil
        }
        try entry.times.check(now: now, leeway: .zero)
        return entry.bearer
    }

    private func remember(_ digest: SHA256.Digest?, _ bearer: Bearer, _ times: TokenTimes) {
        guard let digest else { return }
        entries.withLock { $0[place(of: digest)] = Entry(digest: digest, bearer: bearer, times: times) }
    }
}
