import Events
import GatewaySession
import Identity
import Testing

/// Who may do what: the namespace's rules, and what a token adds to them.
@Suite struct ChannelPolicyTests {
    private let policy = ChannelPolicy(
        namespaces: NamespaceTable(configured: [
            Namespace(name: "closed", subscribe: .nobody),
            Namespace(name: "staff", subscribe: .roles(["staff", "boss"]), publish: .roles(["boss"])),
            Namespace(name: "asked", subscribe: .hook, publish: .hook),
        ]))

    private func subscribe(_ channel: String, _ identity: Identity) throws -> ChannelPolicy.Decision {
        let name = try ChannelName(channel)
        return policy.subscribe(name, try #require(policy.namespaces[name.namespace]), identity)
    }

    private func publish(
        _ channel: String, _ identity: Identity, isSubscribed: Bool = false
    ) throws -> ChannelPolicy.Decision {
        let name = try ChannelName(channel)
        return policy.publish(
            name, try #require(policy.namespaces[name.namespace]), identity, isSubscribed: isSubscribed)
    }

    @Test("a user's channel is the user's, and an admin's; by bytes, not by looks")
    func owner() throws {
        #expect(try subscribe("user:42", Identity(user: "42")) == .allow)
        #expect(try subscribe("user:42", Identity(user: "7")) == .deny)
        #expect(try subscribe("user:42", Identity(user: "7", roles: ["admin"])) == .allow)
        #expect(try subscribe("user:42", .anonymous) == .authenticationRequired)
        #expect(try subscribe("user:caf\u{e9}", Identity(user: "cafe\u{301}")) == .deny)
    }

    @Test("roles let in whoever has one of them")
    func roles() throws {
        #expect(try subscribe("staff:x", Identity(user: "1", roles: ["staff"])) == .allow)
        #expect(try publish("staff:x", Identity(user: "1", roles: ["staff"]), isSubscribed: true) == .deny)
        #expect(try publish("staff:x", Identity(user: "1", roles: ["boss"])) == .allow)
        #expect(try subscribe("staff:x", Identity(user: "1", roles: ["Staff"])) == .deny)
        #expect(try subscribe("staff:x", .anonymous) == .authenticationRequired)
        #expect(try subscribe("asked:x", .anonymous) == .askHook)
        #expect(try subscribe("closed:x", Identity(user: "1", roles: ["admin"])) == .deny)
    }

    @Test("a capability opens what the namespace does not, each operation for itself, exactly or by a wildcard")
    func capabilities() throws {
        let exact = Identity(
            user: "1", capabilities: [Capability(channels: ["closed:a", "closed:*"], operations: [.subscribe])])
        #expect(try subscribe("closed:a", exact) == .allow)
        #expect(try subscribe("closed:b", exact) == .deny)
        #expect(try subscribe("closed:*", exact) == .allow)
        #expect(try publish("closed:a", exact, isSubscribed: true) == .deny)
        let wild = Identity(
            user: "1",
            capabilities: [
                Capability(channels: ["closed:team-*"], match: .wildcard, operations: [.subscribe, .publish]),
                Capability(channels: ["room:*"], match: .wildcard, operations: [.history]),
            ])
        #expect(try subscribe("closed:team-7", wild) == .allow)
        #expect(try publish("closed:team-7", wild) == .allow)
        #expect(try subscribe("closed:other", wild) == .deny)
        // A hook need not be asked about what a token allows.
        let asked = Identity(
            user: "1", capabilities: [Capability(channels: ["asked:*"], match: .wildcard, operations: [.subscribe])])
        #expect(try subscribe("asked:x", asked) == .allow)
        #expect(try publish("asked:x", asked) == .askHook)
        let room = try ChannelName("room:a")
        #expect(policy.look(.history, room, wild, isSubscribed: false) == .allow)
        #expect(policy.look(.presence, room, wild, isSubscribed: false) == .deny)
        #expect(policy.look(.presence, room, wild, isSubscribed: true) == .allow)
        let news = Identity(
            user: "1", capabilities: [Capability(channels: ["default:news"], operations: [.publish])])
        #expect(try publish("news", news) == .allow)
        #expect(try publish("default:news", news) == .allow)
    }

    @Test("without a user the capabilities of a token count all the same")
    func anonymousCapability() throws {
        let identity = Identity(capabilities: [Capability(channels: ["closed:a"], operations: [.subscribe])])
        #expect(try subscribe("closed:a", identity) == .allow)
    }
}
