internal import Events

/// From when to when a token is good.
struct TokenTimes: Sendable {
    /// Nil is never.
    var expiresAt: Timestamp?
    var notBefore: Timestamp?

    /// - Parameter leeway: how far the clock of whoever made the token may be off.
    func check(now: Timestamp, leeway: Duration) throws(IdentityError) {
        if let expiresAt, expiresAt.advanced(by: leeway) <= now { throw .expired }
        if let notBefore, now.advanced(by: leeway) < notBefore { throw .notYetValid }
    }
}
