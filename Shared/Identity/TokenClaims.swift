internal import Events
internal import JSON

/// Reads a token's claims once its signature is known to be right.
struct TokenClaims {
    let claims: JSONObject

    func identity(now: Timestamp, leeway: Duration) throws(IdentityError) -> Identity {
        let expiresAt = try validity(now: now, leeway: leeway)
        // What allows one channel must not open a connection.
        guard claim("channel") == nil else { throw .invalidClaim("channel", "left out of a connection's token") }
        return Identity(
            user: try user(), roles: try roles(), info: try info(), capabilities: try capabilities(),
            expiresAt: expiresAt)
    }

    func subscription(now: Timestamp, leeway: Duration) throws(IdentityError) -> SubscriptionToken {
        var expiresAt = try validity(now: now, leeway: leeway)
        guard let channel = claim("channel") else { throw .missingClaim("channel") }
        guard let name = channel.stringValue, !name.isEmpty else { throw .invalidClaim("channel", "a channel's name") }
        // As in Centrifugo: the subscription may end at another time than the token, 0 being never.
        if let end = try time("expire_at") { expiresAt = end.seconds == 0 ? nil : end }
        return SubscriptionToken(user: try user(), channel: name, expiresAt: expiresAt)
    }

    /// - Returns: when the token ends.
    private func validity(now: Timestamp, leeway: Duration) throws(IdentityError) -> Timestamp? {
        let expiresAt = try time("exp")
        if let expiresAt, expiresAt.advanced(by: leeway) <= now { throw .expired }
        if let begins = try time("nbf"), now.advanced(by: leeway) < begins { throw .notYetValid }
        return expiresAt
    }

    /// A claim that is there and not null.
    private func claim(_ name: String) -> JSONValue? {
        guard let claim = claims[name], !claim.isNull else { return .none }
        return claim
    }

    /// Seconds since 1970, with a fraction or without.
    private func time(_ name: String) throws(IdentityError) -> Timestamp? {
        guard let claim = claim(name) else { return nil }
        switch claim {
        case .integer(let seconds): return Timestamp(seconds: seconds)
        case .double(let seconds) where abs(seconds) < 1e18:
            let whole = seconds.rounded(.down)
            let fraction = Int64((seconds - whole) * 1_000_000_000)
            return Timestamp(seconds: Int64(whole)).advanced(by: .nanoseconds(fraction))
        default: throw .invalidClaim(name, "a number of seconds since 1970")
        }
    }

    /// An empty `sub` is an anonymous user; one that is missing is a mistake of whoever made the token.
    private func user() throws(IdentityError) -> String? {
        let user: String
        switch claim("sub") {
        case nil: throw .missingClaim("sub")
        case .string(let text)?: user = text
        case .integer(let number)?: user = String(number)
        default: throw .invalidClaim("sub", "a string or a whole number")
        }
        // It becomes the name of a channel and the value of a header.
        guard user.utf8.count <= ChannelName.maximumNameLength, user.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
        else {
            throw .invalidClaim("sub", "at most \(ChannelName.maximumNameLength) bytes without control characters")
        }
        return user.isEmpty ? nil : user
    }

    private func roles() throws(IdentityError) -> [String] {
        guard let claim = claim("roles") else { return [] }
        let expected = IdentityError.invalidClaim("roles", "an array of strings without commas and control characters")
        guard let elements = claim.arrayValue else { throw expected }
        var roles: [String] = []
        for element in elements {
            guard let role = element.stringValue, !role.isEmpty,
                role.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F && $0 != UInt8(ascii: ",") })
            else { throw expected }
            roles.append(role)
        }
        return roles
    }

    private func info() throws(IdentityError) -> JSONValue? {
        guard let info = claim("info") else { return nil }
        guard case .object = info else { throw .invalidClaim("info", "an object") }
        return info
    }

    private func capabilities() throws(IdentityError) -> [Capability] {
        guard let claim = claim("caps") else { return [] }
        let expected = IdentityError.invalidClaim(
            "caps", #"an array of {"channels": […], "match": "exact" or "wildcard", "allow": […]}"#)
        guard let elements = claim.arrayValue else { throw expected }
        var capabilities: [Capability] = []
        for element in elements {
            guard let channels = element["channels"]?.arrayValue, let allow = element["allow"]?.arrayValue else {
                throw expected
            }
            let names = channels.compactMap(\.stringValue)
            guard names.count == channels.count else { throw expected }
            let match: Capability.Match
            switch element["match"] {
            case nil, .null?, .string("")?: match = .exact
            case .string(let name)?:
                guard let known = Capability.Match(rawValue: name) else { throw expected }
                match = known
            default: throw expected
            }
            // An operation that is not known here gives nothing, and takes nothing from the others.
            let operations = allow.compactMap { $0.stringValue.flatMap(Capability.Operation.init) }
            capabilities.append(Capability(channels: names, match: match, operations: Set(operations)))
        }
        return capabilities
    }
}
