public import Events
public import JSON

/// Makes tokens that are signed with a shared secret.
public struct TokenIssuer: Sendable {
    private let secret: SharedSecret
    private let algorithm: HMACAlgorithm

    public init(secret: String, algorithm: HMACAlgorithm = .hs256) {
        self.secret = SharedSecret(secret)
        self.algorithm = algorithm
    }

    /// A token for `user`; nil or empty is an anonymous one. Times are written to the second.
    public func issue(
        user: String?, roles: [String] = [], info: JSONValue? = nil, capabilities: [Capability] = [],
        expiresAt: Timestamp? = nil, notBefore: Timestamp? = nil, issuedAt: Timestamp? = nil
    ) -> String {
        var claims: JSONObject = ["sub": .string(user ?? "")]
        claims["iat"] = issuedAt.map { .integer($0.seconds) }
        claims["nbf"] = notBefore.map { .integer($0.seconds) }
        claims["exp"] = expiresAt.map { .integer($0.seconds) }
        if !roles.isEmpty { claims["roles"] = .array(roles.map { .string($0) }) }
        claims["info"] = info
        if !capabilities.isEmpty { claims["caps"] = .array(capabilities.map(\.claim)) }
        return sign(claims)
    }

    /// A token that lets `user` on one channel; nil or empty is an anonymous one.
    public func issueSubscription(user: String?, channel: String, expiresAt: Timestamp? = nil) -> String {
        var claims: JSONObject = ["sub": .string(user ?? ""), "channel": .string(channel)]
        claims["exp"] = expiresAt.map { .integer($0.seconds) }
        return sign(claims)
    }

    private func sign(_ claims: JSONObject) -> String {
        let header: JSONValue = ["alg": .string(algorithm.rawValue), "typ": "JWT"]
        let signed =
            Base64URL.encode(header.serialized()) + "." + Base64URL.encode(JSONValue.object(claims).serialized())
        return signed + "." + Base64URL.encode(secret.sign(Array(signed.utf8), with: algorithm))
    }
}

extension Capability {
    fileprivate var claim: JSONValue {
        [
            "channels": .array(channels.map { .string($0) }), "match": .string(match.rawValue),
            "allow": .array(Operation.allCases.filter(operations.contains).map { .string($0.rawValue) }),
        ]
    }
}
