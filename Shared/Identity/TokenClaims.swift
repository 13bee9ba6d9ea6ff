internal import Events
internal import JSON

/// What a token claims. It is read once its signature is known to be right.
struct TokenClaims {
    private var subject: JSONValue?
    private var expiry: JSONValue?
    private var beginning: JSONValue?
    private var roleNames: JSONValue?
    private var shownInfo: JSONValue?
    private var permissions: JSONValue?
    private var channel: JSONValue?
    private var subscriptionEnd: JSONValue?

    /// Reads the members of an object that was begun.
    init(_ reader: inout JSONReader) throws(JSONError) {
        while let name = try reader.nextName() {
            switch name {
            case "sub": subject = try TokenClaims.claim(&reader)
            case "exp": expiry = try TokenClaims.claim(&reader)
            case "nbf": beginning = try TokenClaims.claim(&reader)
            case "roles": roleNames = try TokenClaims.claim(&reader)
            case "info": shownInfo = try TokenClaims.claim(&reader)
            case "caps": permissions = try TokenClaims.claim(&reader)
            case "channel": channel = try TokenClaims.claim(&reader)
            case "expire_at": subscriptionEnd = try TokenClaims.claim(&reader)
            default: try reader.skip()
            }
        }
    }

    /// A claim that is null is missing.
    private static func claim(_ reader: inout JSONReader) throws(JSONError) -> JSONValue? {
        let value = try reader.value()
        return value.isNull ? .none : .some(value)
    }

    func identity(now: Timestamp, leeway: Duration) throws(IdentityError) -> (Identity, TokenTimes) {
        let times = try validTimes(now: now, leeway: leeway)
        // What allows one channel must not open a connection.
        guard channel == nil else { throw .invalidClaim("channel", "left out of a connection's token") }
        let identity = Identity(
            user: try user(), roles: try roles(), info: try info(), capabilities: try capabilities(),
            expiresAt: times.expiresAt)
        return (identity, times)
    }

    func subscription(now: Timestamp, leeway: Duration) throws(IdentityError) -> (SubscriptionToken, TokenTimes) {
        let times = try validTimes(now: now, leeway: leeway)
        var expiresAt = times.expiresAt
        guard let channel else { throw .missingClaim("channel") }
        guard let name = channel.stringValue, !name.isEmpty else { throw .invalidClaim("channel", "a channel's name") }
        // As in Centrifugo: the subscription may end at another time than the token, 0 being never.
        if let end = try time(subscriptionEnd, "expire_at") { expiresAt = end.seconds == 0 ? nil : end }
        return (SubscriptionToken(user: try user(), channel: name, expiresAt: expiresAt), times)
    }

    private func validTimes(now: Timestamp, leeway: Duration) throws(IdentityError) -> TokenTimes {
        var times = TokenTimes(expiresAt: try time(expiry, "exp"))
        try times.check(now: now, leeway: leeway)
        times.notBefore = try time(beginning, "nbf")
        try times.check(now: now, leeway: leeway)
        return times
    }

    /// Seconds since 1970, with a fraction or without.
    private func time(_ claim: JSONValue?, _ name: String) throws(IdentityError) -> Timestamp? {
        switch claim {
        case nil: return nil
        case .integer(let seconds)?: return Timestamp(seconds: seconds)
        case .double(let seconds)? where abs(seconds) < 1e18:
            let whole = seconds.rounded(.down)
            let fraction = Int64((seconds - whole) * 1_000_000_000)
            return Timestamp(seconds: Int64(whole)).advanced(by: .nanoseconds(fraction))
        default: throw .invalidClaim(name, "a number of seconds since 1970")
        }
    }

    /// An empty `sub` is an anonymous user; one that is missing is a mistake of whoever made the token.
    private func user() throws(IdentityError) -> String? {
        let user: String
        switch subject {
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
        guard let claim = roleNames else { return [] }
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
        guard let info = shownInfo else { return nil }
        guard case .object = info else { throw .invalidClaim("info", "an object") }
        return info
    }

    private func capabilities() throws(IdentityError) -> [Capability] {
        guard let claim = permissions else { return [] }
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
