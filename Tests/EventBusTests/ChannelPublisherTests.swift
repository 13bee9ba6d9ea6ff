import EventBus
import Events
import JSON
import TestKit
import Testing

@Suite("A channel's publisher", .timeLimit(.minutes(1)))
struct ChannelPublisherTests {
    let bus = MemoryBus()
    let subjects = Subjects.standard
    let publisher: ChannelPublisher

    init() { publisher = ChannelPublisher(bus: bus, subjects: subjects) }

    private func publish(_ text: String, on channel: String, id: String? = nil) async throws {
        try await publisher.publish(Array(text.utf8), on: try ChannelName(channel), event: "e", messageID: id)
    }

    @Test("stores where the namespace has history, and those who listen get it once, with its place")
    func history() async throws {
        let inbox = Inbox<BusMessage>()
        try inbox.subscribe(to: subjects.allLive, on: bus)
        try await publish("1", on: "user:42")
        try await publish("2", on: "user:42")
        let received = try await inbox.wait(for: 2)
        #expect(received.map(\.subject) == ["apus.live.user.42", "apus.live.user.42"])
        #expect(received.map { $0.headers[HeaderName.event] } == ["e", "e"])
        #expect(received.map { $0.headers[HeaderName.lastSequence] } == ["0", "1"])
        #expect(try await bus.streamState("APUS_CHANNEL_USER").messages == 2)
    }

    @Test("publishes several at once: each with what it has overtaken, stored or sent as its namespace has it")
    func atOnce() async throws {
        let inbox = Inbox<BusMessage>()
        try inbox.subscribe(to: subjects.allChannels, on: bus)
        let overtaken = [#"{"at":"début 🙂"}"#, "[1]"].map { Array($0.utf8) }
        func publish(_ publications: [ChannelPublisher.Publication]) async throws {
            try await publisher.publish(atOnceIn: ["user", "default"]) { add in
                for publication in publications { add(publication) }
            }
        }
        try await publish([
            ChannelPublisher.Publication(
                Array("1".utf8), on: try ChannelName("user:42"), messageID: "x", overtaken: overtaken),
            ChannelPublisher.Publication(Array("2".utf8), on: try ChannelName("lobby")),
            ChannelPublisher.Publication(Array("3".utf8), on: try ChannelName("user:42"), messageID: "x"),
        ])
        #expect(try await inbox.wait(for: 1).first?.subject == "apus.channel.default.lobby")
        let stored = try await bus.messages(in: "APUS_CHANNEL_USER", subject: nil, after: 0, limit: 10)
        #expect(stored.map(\.message.payload) == [Array("1".utf8)])
        let header = try #require(stored.first?.message.headers[HeaderName.overtaken])
        #expect(header == #"[{"at":"d\u00e9but \ud83d\ude42"},[1]]"#)
        #expect(try JSONValue(parsing: header) == [["at": "début 🙂"], [1]])
        bus.setConnected(false)
        await #expect(throws: BusError(.notConnected, "")) {
            try await publish([ChannelPublisher.Publication(Array("4".utf8), on: try ChannelName("user:42"))])
        }
    }

    @Test("makes the stream anew that somebody deleted, the next time that several are published at once")
    func deletedStream() async throws {
        func publish(_ text: String) async throws {
            try await publisher.publish(atOnceIn: ["user"]) { add in
                guard let channel = try? ChannelName("user:42") else { return }
                add(ChannelPublisher.Publication(Array(text.utf8), on: channel))
            }
        }
        try await publish("1")
        try await bus.deleteStream("APUS_CHANNEL_USER")
        await #expect(throws: BusError(.noResponders, "")) { try await publish("2") }
        try await publish("3")
        let stored = try await bus.messages(in: "APUS_CHANNEL_USER", subject: nil, after: 0, limit: 10)
        #expect(stored.map(\.message.payload) == [Array("3".utf8)])
    }

    @Test("only publishes where there is no history")
    func noHistory() async throws {
        let inbox = Inbox<BusMessage>()
        try inbox.subscribe(to: subjects.allChannels, on: bus)
        try await publish("1", on: "lobby")
        try await publish("2", on: "own:thing")
        let received = try await inbox.wait(for: 2)
        #expect(received.map(\.subject) == ["apus.channel.default.lobby", "apus.channel.own.thing"])
        await #expect(throws: BusError(.notFound, "")) { try await bus.streamState("APUS_CHANNEL_OWN") }
    }

    @Test("sees a stream that appears later, made for a configured namespace")
    func later() async throws {
        try await publish("1", on: "own:thing")
        try await bus.ensureStream(
            .channelHistory(ChannelHistory(size: 5, timeToLive: .seconds(60)), namespace: "own", subjects: subjects))
        try await publish("2", on: "own:thing")
        #expect(try await bus.streamState("APUS_CHANNEL_OWN").messages == 1)
    }

    @Test("and the gateway may make the same stream at the same moment")
    func race() async throws {
        let (bus, subjects) = (bus, subjects)
        for namespace in ["room", "topic", "user"] {
            let history = try #require(ChannelHistory.builtIn[namespace])
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<8 {
                    group.addTask {
                        if number % 2 == 0 {
                            try await bus.ensureStream(
                                .channelHistory(history, namespace: namespace, subjects: subjects))
                        } else {
                            try await ChannelPublisher(bus: bus, subjects: subjects).publish(
                                [0x31], on: ChannelName(namespace: namespace, name: "a"))
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await bus.streamState(subjects.historyStream(namespace: namespace)).messages == 4)
        }
    }

    @Test("stores a message id once, also when the first answer was lost")
    func idempotent() async throws {
        try await publish("0", on: "room:a", id: "0")
        bus.inject(.answerIsLost, into: .append)
        await #expect(throws: BusError(.timeout, "")) { try await publish("1", on: "room:a", id: "1") }
        try await publish("1", on: "room:a", id: "1")
        #expect(try await bus.streamState("APUS_CHANNEL_ROOM").messages == 2)
    }

    @Test("makes a deleted stream again at the next attempt")
    func deleted() async throws {
        try await publish("1", on: "room:a")
        try await bus.deleteStream("APUS_CHANNEL_ROOM")
        await #expect(throws: BusError(.noResponders, "")) { try await publish("2", on: "room:a") }
        try await publish("2", on: "room:a")
        #expect(try await bus.streamState("APUS_CHANNEL_ROOM").messages == 1)
    }

    @Test("keeps the newest messages of each channel, as many as its history")
    func limit() async throws {
        for number in 0..<60 { try await publish("\(number)", on: "user:42") }
        try await publish("other", on: "user:43")
        let state = try await bus.streamState("APUS_CHANNEL_USER")
        // One more than the history: it marks where a reader may begin.
        #expect(state.messages == 52)
        #expect(state.firstSequence == 10)
    }
}

@Suite("The streams that services share")
struct StreamsTests {
    @Test("can be ensured by all of them in any order", .timeLimit(.minutes(1)))
    func idempotent() async throws {
        let bus = MemoryBus()
        for _ in 0..<2 {
            for specification in [StreamSpecification.deadLetters(.standard), .tasks(.standard), .events(.standard)] {
                try await bus.ensureStream(specification)
            }
        }
        #expect(StreamSpecification.tasks(.standard).retention == .workQueue)
        #expect(StreamSpecification.events(.standard).maximumAge == .seconds(604_800))
        #expect(StreamSpecification.deadLetters(.standard).maximumAge == .seconds(2_592_000))
    }
}
