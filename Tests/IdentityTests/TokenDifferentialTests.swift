import Crypto
import Events
import Foundation
import Identity
import JSON
import TestKit
import Testing

/// The verifier reads tokens by pieces and remembers them; here the same rules stand once more, written without regard to
/// what that costs, and both must say the same about every token.
@Suite("A token, read quickly and read plainly")
struct TokenDifferentialTests {
    private static let secret = "correct horse"
    private static let now = Timestamp(seconds: 1_800_000_000)

    private static let headers = [
        #"{"alg":"HS256","typ":"JWT"}"#, #"{"alg":"HS512"}"#, #"{"typ":"JWT","alg":"HS384","kid":"k"}"#,
        #"{"alg":"none"}"#, #"{"alg":"HS256","crit":null}"#, #"{"al\u0067":"HS256","x":{"alg":"none"}}"#,
        #"{"alg":"none","alg":"HS256"}"#, #"{"alg":"RS256"}"#, #"{"alg":["HS256"]}"#, #"["HS256"]"#,
    ]

    private static let claims = [
        #"{"sub":"42","exp":1800000060,"nbf":1799999940,"iat":1799999940}"#,
        #"{"sub":42,"roles":["staff","admin"],"info":{"name":"Zo\u00eb","n":[1.0,null]}}"#,
        #"{"sub":"42","exp":1800000000.5,"caps":[{"channels":["room:*"],"match":"wildcard","allow":["sub","fly"]}]}"#,
        #"{"sub":"","exp":1.8e9,"nbf":null,"roles":null,"caps":[{"channels":[],"match":null,"allow":[]}]}"#,
        #"{"sub":"42","channel":"room:a","expire_at":0,"exp":1800000060}"#, #"{"sub":"42","sub":"43"}"#,
        #"{"sub":"42","channel":"room:a","expire_at":1800000100,"x":9223372036854775807}"#,
        #"{"sub":"a\u0000b","exp":9223372036854775807}"#, #"{"exp":"soon","sub":1.5}"#, #"{"sub":"1","exp":1e17}"#,
    ]

    private enum Verdict: Equatable {
        case identity(Identity)
        case subscription(SubscriptionToken)
        case refused(IdentityError)

        init(_ verify: () throws(IdentityError) -> Identity) {
            do throws(IdentityError) { self = .identity(try verify()) } catch { self = .refused(error) }
        }

        init(subscription verify: () throws(IdentityError) -> SubscriptionToken) {
            do throws(IdentityError) { self = .subscription(try verify()) } catch { self = .refused(error) }
        }
    }

    private func compare(_ token: String, _ memory: TokenMemory, _ comment: String) -> [Verdict] {
        let verifier = TokenVerifier(secret: Self.secret)
        let now = Self.now
        let plain = [
            Verdict { () throws(IdentityError) in try PlainVerifier(Self.secret).claims(of: token).identity(now: now) },
            Verdict(subscription: { () throws(IdentityError) in
                try PlainVerifier(Self.secret).claims(of: token).subscription(now: now)
            }),
        ]
        let quick = [
            Verdict { () throws(IdentityError) in try verifier.verify(token, now: now) },
            Verdict(subscription: { () throws(IdentityError) in try verifier.verifySubscription(token, now: now) }),
        ]
        #expect(quick == plain, "\(comment): \(token)")
        for _ in 0..<2 {
            let remembered = [
                Verdict { () throws(IdentityError) in try memory.verify(token, now: now).0 },
                Verdict(subscription: { () throws(IdentityError) in
                    try memory.verifySubscription(token, now: now).0
                }),
            ]
            #expect(remembered == plain, "\(comment): \(token)")
        }
        return plain
    }

    @Test("whose header and claims are odd in every combination")
    func combinations() {
        let memory = TokenMemory(TokenVerifier(secret: Self.secret), places: 64, secret: [1, 2, 3])
        var (identities, subscriptions) = (0, 0)
        for header in Self.headers {
            for claims in Self.claims {
                let token = PlainVerifier(Self.secret).token(Array(header.utf8), Array(claims.utf8))
                for verdict in compare(token, memory, "\(header) \(claims)") {
                    switch verdict {
                    case .identity: identities += 1
                    case .subscription: subscriptions += 1
                    case .refused: break
                    }
                }
            }
        }
        #expect(identities > 0 && subscriptions > 0)
    }

    @Test("whose text was changed", arguments: 0..<40 as Range<UInt64>)
    func mutatedText(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let memory = TokenMemory(TokenVerifier(secret: Self.secret), places: 16, secret: [1, 2, 3])
        for claims in Self.claims {
            for header in Self.headers.prefix(3) {
                let token = PlainVerifier(Self.secret).token(Array(header.utf8), Array(claims.utf8))
                // The good one first, so that a memory that looks at less than all of a token would give it away.
                _ = compare(token, memory, "seed \(seed)")
                let mutated = Mutation.mutate(Array(token.utf8), using: &generator)
                _ = compare(String(decoding: mutated, as: UTF8.self), memory, "seed \(seed)")
            }
        }
    }

    @Test("whose header or claims were changed before it was signed", arguments: 0..<60 as Range<UInt64>)
    func mutatedBeforeSigning(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let memory = TokenMemory(TokenVerifier(secret: Self.secret), places: 16, secret: [1, 2, 3])
        for claims in Self.claims {
            for (index, header) in Self.headers.enumerated() {
                var (header, claims) = (Array(header.utf8), Array(claims.utf8))
                if index == 0 || Bool.random(using: &generator) {
                    claims = Mutation.mutate(claims, using: &generator)
                } else {
                    header = Mutation.mutate(header, using: &generator)
                }
                _ = compare(PlainVerifier(Self.secret).token(header, claims), memory, "seed \(seed)")
            }
        }
    }
}

/// The rules for tokens that are signed with a secret, as they read.
private struct PlainVerifier {
    private let key: SymmetricKey

    init(_ secret: String) { key = SymmetricKey(data: Data(secret.utf8)) }

    /// Signed with what the header says, or else with HS256.
    func token(_ header: [UInt8], _ claims: [UInt8]) -> String {
        let signed = Handmade.base64URL(header) + "." + Handmade.base64URL(claims)
        let name = (try? JSONValue(parsing: header))?["alg"]?.stringValue
        return signed + "."
            + Handmade.base64URL(code(name ?? "", Data(signed.utf8)) ?? code("HS256", Data(signed.utf8))!)
    }

    private func code(_ algorithm: String, _ bytes: Data) -> [UInt8]? {
        switch algorithm {
        case "HS256": Array(HMAC<SHA256>.authenticationCode(for: bytes, using: key))
        case "HS384": Array(HMAC<SHA384>.authenticationCode(for: bytes, using: key))
        case "HS512": Array(HMAC<SHA512>.authenticationCode(for: bytes, using: key))
        default: nil
        }
    }

    func claims(of token: String) throws(IdentityError) -> PlainClaims {
        guard token.utf8.count <= 16_384 else { throw .malformed("it is longer than 16384 bytes") }
        let parts = Array(token.utf8).split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3 else { throw .malformed("it has not three parts with dots between them") }
        let header = try object(parts[0], "its header")
        guard let signature = decode(parts[2]) else { throw .malformed("its signature is not base64url") }
        guard let name = header["alg"]?.stringValue else { throw .malformed("its header names no algorithm") }
        guard header["crit"] == nil, let code = code(name, Data(parts[0] + [UInt8(ascii: ".")] + parts[1])) else {
            throw .unsupportedAlgorithm
        }
        guard code == signature else { throw .badSignature }
        return PlainClaims(claims: try object(parts[1], "its claims"))
    }

    private func object(_ part: ArraySlice<UInt8>, _ name: String) throws(IdentityError) -> JSONObject {
        guard let bytes = decode(part) else { throw .malformed("\(name) is not base64url") }
        guard case .object(let object)? = try? JSONValue(parsing: bytes, maximumDepth: 32) else {
            throw .malformed("\(name) is not a JSON object")
        }
        return object
    }

    /// Strict: what decodes must be what encoding gives.
    private func decode(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        let text = String(decoding: text, as: UTF8.self)
        let padded =
            text.replacing("-", with: "+").replacing("_", with: "/")
            + String(repeating: "=", count: (4 - text.utf8.count % 4) % 4)
        guard let data = Data(base64Encoded: padded), Handmade.base64URL(data) == text else { return nil }
        return Array(data)
    }
}

/// A token's claims, taken from a value.
private struct PlainClaims {
    let claims: JSONObject

    func identity(now: Timestamp) throws(IdentityError) -> Identity {
        let expiresAt = try validity(now: now)
        // What allows one channel must not open a connection.
        guard claim("channel") == nil else { throw .invalidClaim("channel", "left out of a connection's token") }
        return Identity(
            user: try user(), roles: try roles(), info: try info(), capabilities: try capabilities(),
            expiresAt: expiresAt)
    }

    func subscription(now: Timestamp) throws(IdentityError) -> SubscriptionToken {
        var expiresAt = try validity(now: now)
        guard let channel = claim("channel") else { throw .missingClaim("channel") }
        guard let name = channel.stringValue, !name.isEmpty else { throw .invalidClaim("channel", "a channel's name") }
        // As in Centrifugo: the subscription may end at another time than the token, 0 being never.
        if let end = try time("expire_at") { expiresAt = end.seconds == 0 ? nil : end }
        return SubscriptionToken(user: try user(), channel: name, expiresAt: expiresAt)
    }

    /// - Returns: when the token ends.
    private func validity(now: Timestamp) throws(IdentityError) -> Timestamp? {
        let expiresAt = try time("exp")
        if let expiresAt, expiresAt <= now { throw .expired }
        if let begins = try time("nbf"), now < begins { throw .notYetValid }
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
