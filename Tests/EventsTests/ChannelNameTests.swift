import Events
import TestKit
import Testing

@Suite("A channel's name")
struct ChannelNameTests {
    @Test(
        "is a namespace and a name; without colon it is in namespace default",
        arguments: [
            ("room:lobby", "room", "lobby"), ("lobby", "default", "lobby"), ("a:b:c", "a", "b:c"),
            ("x_1-y:z", "x_1-y", "z"),
            ("room:a.b", "room", "a.b"), ("room:Ünï 🙂", "room", "Ünï 🙂"), ("room:*", "room", "*"),
            ("room:>", "room", ">"),
        ])
    func valid(text: String, namespace: String, name: String) throws {
        let channel = try ChannelName(text)
        #expect(channel.namespace == namespace)
        #expect(channel.name == name)
        #expect(try ChannelName(channel.description) == channel)
    }

    @Test(
        "is refused with the reason",
        arguments: [
            (":a", ChannelName.Invalid.namespace), ("Room:a", .namespace), ("1room:a", .namespace),
            ("r m:a", .namespace),
            ("é:a", .namespace), (String(repeating: "a", count: 65) + ":a", .namespace), ("", .nameLength),
            ("room:", .nameLength), ("room:" + String(repeating: "x", count: 201), .nameLength),
            ("room:" + String(repeating: "é", count: 101), .nameLength), ("room:.a", .emptyToken),
            ("room:a.", .emptyToken),
            ("room:a..b", .emptyToken), (".", .emptyToken), ("room:..", .emptyToken),
        ])
    func invalid(text: String, reason: ChannelName.Invalid) {
        #expect(throws: reason) { try ChannelName(text) }
    }

    @Test("of namespace default that holds a colon keeps its namespace in writing")
    func defaultWithColon() throws {
        let channel = try ChannelName(namespace: "default", name: "a:b")
        #expect(channel.description == "default:a:b")
        #expect(try ChannelName(channel.description) == channel)
    }

    @Test("is another one when its bytes are, though Swift's strings are equal")
    func bytes() throws {
        let (composed, decomposed) = (try ChannelName("room:\u{E9}"), try ChannelName("room:e\u{301}"))
        #expect(composed.name == decomposed.name)
        #expect(composed != decomposed)
        #expect(Set([composed, decomposed, try ChannelName("room:\u{E9}")]).count == 2)
    }
}

@Suite("The subjects of channels")
struct ChannelSubjectTests {
    let subjects = Subjects.standard

    @Test(
        "are built as the contract says",
        arguments: [
            ("room:lobby", "apus.channel.room.lobby"), ("lobby", "apus.channel.default.lobby"),
            ("room:a.b", "apus.channel.room.a.b"), ("room:*", "apus.channel.room.%2A"),
            ("room:>", "apus.channel.room.%3E"),
            ("room:a b", "apus.channel.room.a%20b"), ("room:é", "apus.channel.room.%C3%A9"),
            ("room:%2A", "apus.channel.room.%252A"),
            ("room:a\r\n", "apus.channel.room.a%0D%0A"), ("room:a:b", "apus.channel.room.a%3Ab"),
        ])
    func known(channel: String, subject: String) throws {
        let name = try ChannelName(channel)
        #expect(subjects.channel(name) == subject)
        #expect(subjects.channel(ofSubject: subject) == name)
        #expect(subjects.channel(ofSubject: subjects.live(name)) == name)
    }

    @Test("are different for different names, reach no wildcard and come back", arguments: 0..<50 as Range<UInt64>)
    func injective(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let alphabet: [Unicode.Scalar] = [
            "a", "Z", "0", ".", "*", ">", "%", "2", "A", " ", "\r", "\n", "\u{0}", "\u{7F}", "é", "🙂", "_", ":",
        ]
        var seen: [String: ChannelName] = [:]
        for _ in 0..<300 {
            var name = ""
            for _ in 0..<Int.random(in: 1...5, using: &generator) {
                name.unicodeScalars.append(alphabet.randomElement(using: &generator)!)
            }
            guard let channel = try? ChannelName(namespace: "room", name: name) else { continue }
            let subject = subjects.channel(channel)
            if let other = seen[subject] { #expect(other == channel, "seed \(seed): \(subject)") }
            seen[subject] = channel
            #expect(subjects.channel(ofSubject: subject) == channel, "seed \(seed): \(subject)")
            #expect(subject.hasPrefix("apus.channel.room."), "seed \(seed)")
            let rest = subject.utf8.dropFirst("apus.channel.room.".utf8.count)
            #expect(
                rest.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "*") && $0 != UInt8(ascii: ">") },
                "seed \(seed)")
            let tokens = rest.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
            #expect(tokens.allSatisfy { !$0.isEmpty }, "seed \(seed)")
        }
    }

    @Test(
        "are read only when this deployment could have written them",
        arguments: [
            "apus.channel.room", "apus.channel.room.", "apus.channel..a", "other.channel.room.a", "apus.event.room.a",
            "apus.channel.Room.a", "apus.channel.room.%2a", "apus.channel.room.%41", "apus.channel.room.%",
            "apus.channel.room.%G0",
            "apus.channel.room.%C3", "apus.channel.room.a..b", "apus.channel.room.a b", "", "apus",
        ])
    func foreign(subject: String) {
        #expect(subjects.channel(ofSubject: subject) == nil)
    }

    @Test("of events give their type back", arguments: ["order.status_changed", "a", "é x", "100%"])
    func events(type: String) {
        #expect(subjects.eventType(ofSubject: subjects.event(type)) == type)
        #expect(subjects.eventType(ofSubject: "apus.event.") == nil)
        #expect(subjects.eventType(ofSubject: "apus.task.default.x") == nil)
    }

    @Test("begin with the deployment's prefix, which is one plain token")
    func prefix() throws {
        let mine = try #require(Subjects(prefix: "shop-2"))
        #expect(mine.channel(try ChannelName("room:a")) == "shop-2.channel.room.a")
        #expect(mine.eventsStream == "SHOP_2_EVENTS")
        #expect(mine.channel(ofSubject: "apus.channel.room.a") == nil)
        for prefix in ["", "a.b", "*", ">", "a b", "é", "$SYS"] {
            #expect(Subjects(prefix: prefix) == nil, "\(prefix)")
        }
    }

    @Test("of queues are one token, whatever the queue is called")
    func queues() {
        #expect(subjects.task(queue: "a.b", name: "x.y") == "apus.task.a%2Eb.x.y")
        #expect(subjects.tasks(queue: "*") == "apus.task.%2A.>")
    }
}
