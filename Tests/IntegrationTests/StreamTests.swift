import EventBus
import EventBusNATS
import Events
import NATSClient
import TestKit
import Testing

@Suite("Streams on JetStream", .enabled(if: NATSServerProcess.canRun), .timeLimit(.minutes(1)))
struct StreamTests {
    @Test("what the server keeps otherwise and will not change is named")
    func specificationMismatch() async throws {
        try await withBus { server, bus in
            let somebody = JetStreamByHand(try NATSConnection(NATSConnectionOptions(servers: [server.url])))
            try await somebody.call("STREAM.CREATE.S", #"{"name":"S","subjects":["s.>"],"retention":"workqueue"}"#)
            let error = await result { () async throws(BusError) in
                try await bus.ensureStream(StreamSpecification(name: "S", subjects: ["s.>"]))
            }.failure
            #expect(error == BusError(.specificationMismatch, ""))
            #expect(error?.message.contains("retention") == true)

            try await somebody.call("STREAM.CREATE.T", #"{"name":"T","subjects":["t.>"],"storage":"memory"}"#)
            let storage = await result { () async throws(BusError) in
                try await bus.ensureStream(StreamSpecification(name: "T", subjects: ["t.>"]))
            }.failure
            #expect(storage?.message.contains("storage") == true)

            // The subjects are taken by another stream.
            await #expect(throws: BusError(.invalidArgument, "")) {
                try await bus.ensureStream(StreamSpecification(name: "U", subjects: ["t.a"]))
            }
            await #expect(throws: BusError(.invalidArgument, "")) {
                try await bus.ensureStream(StreamSpecification(name: "a.b", subjects: ["u"]))
            }
        }
    }

    @Test("a stream is changed to what is asked for, and keeps its life and its messages")
    func update() async throws {
        try await withBus { server, bus in
            var specification = StreamSpecification(name: "S", subjects: ["s.>"], maximumMessages: 100)
            let before = try await bus.ensureStream(specification)
            try await bus.append(BusMessage(subject: "s.a"))
            specification.subjects = ["s.>", "more"]
            specification.maximumMessages = nil
            specification.maximumAge = .seconds(60)
            specification.maximumMessagesPerSubject = 7
            let after = try await bus.ensureStream(specification)
            #expect(after.epoch == before.epoch)
            #expect(after.messages == 1)
            #expect(try await bus.append(BusMessage(subject: "more")).sequence == 2)
        }
    }

    @Test("two who make a stream at once both succeed")
    func concurrentCreation() async throws {
        try await withBus { _, bus in
            let specification = StreamSpecification(name: "S", subjects: ["s.>"])
            try await withThrowingTaskGroup(of: StreamState.self) { group in
                for _ in 0..<10 { group.addTask { try await bus.ensureStream(specification) } }
                var epochs: Set<String> = []
                for try await state in group { epochs.insert(state.epoch) }
                #expect(epochs.count == 1)
            }
        }
    }

    @Test("a stream that was deleted and made again has another epoch")
    func epoch() async throws {
        try await withBus { _, bus in
            let specification = StreamSpecification(name: "S", subjects: ["s"])
            let first = try await bus.ensureStream(specification)
            try await bus.append(BusMessage(subject: "s"))
            #expect(try await bus.streamState("S").epoch == first.epoch)
            try await bus.deleteStream("S")
            try await bus.deleteStream("S")
            await #expect(throws: BusError(.notFound, "")) { try await bus.streamState("S") }
            await #expect(throws: BusError(.noResponders, "")) { try await bus.append(BusMessage(subject: "s")) }
            let second = try await bus.ensureStream(specification)
            #expect(second.epoch != first.epoch)
            #expect(second.firstSequence == 1)
            #expect(second.lastSequence == 0)
        }
    }

    @Test("of writers that expect the same last sequence exactly one wins, every time")
    func compareAndSet() async throws {
        try await withBus { _, bus in
            try await bus.ensureStream(StreamSpecification(name: "S", subjects: ["s.>"]))
            var expected: UInt64 = 0
            for _ in 0..<20 {
                let last = expected
                let outcomes = await withTaskGroup(of: Result<AppendReceipt, BusError>.self) { group in
                    for _ in 0..<8 {
                        group.addTask {
                            await result { () async throws(BusError) in
                                try await bus.append(BusMessage(subject: "s.a"), expecting: .onSubject(last))
                            }
                        }
                    }
                    var outcomes: [Result<AppendReceipt, BusError>] = []
                    for await outcome in group { outcomes.append(outcome) }
                    return outcomes
                }
                let winners = outcomes.compactMap { try? $0.get() }
                #expect(winners.count == 1)
                #expect(outcomes.compactMap(\.failure).allSatisfy { $0 == BusError(.conflict, "") })
                expected = try #require(winners.first).sequence
            }
            #expect(try await bus.streamState("S").messages == 20)
        }
    }

    @Test("a message id that the stream has seen is not stored again")
    func duplicates() async throws {
        try await withBus { server, bus in
            try await bus.ensureStream(StreamSpecification(name: "S", subjects: ["s"]))
            let message = BusMessage(subject: "s", headers: [HeaderName.messageID: "one"], payload: [1])
            let first = try await bus.append(message)
            let second = try await bus.append(message)
            #expect(second == AppendReceipt(stream: "S", sequence: first.sequence, isDuplicate: true))
            let events = bus.connectionEvents()
            await server.kill()
            await wait(for: .disconnected, in: events)
            try await server.restart()
            await connected(bus)
            #expect(try await bus.append(message).isDuplicate)
            #expect(try await bus.streamState("S").messages == 1)
        }
    }

    @Test(
        "an answer that is no acknowledgement is an error, whatever it is",
        arguments: [
            "", "{", "[]", "null", #""+OK""#, "{}", #"{"stream":"S"}"#, #"{"stream":"S","seq":0}"#,
            #"{"stream":"S","seq":-1}"#, #"{"stream":"S","seq":1.5}"#, #"{"stream":1,"seq":1}"#, #"{"error":7}"#,
            #"{"error":{"code":"x"}}"#, "\u{FFFD}", #"{"stream":"S","seq":99999999999999999999}"#,
        ])
    func garbageAcknowledgement(answer: String) async throws {
        try await withBus { _, bus in
            let liar = try bus.subscribe("s") { message in
                guard let replyTo = message.replyTo else { return }
                try? bus.publish(BusMessage(subject: replyTo, payload: [UInt8](answer)))
            }
            defer { liar.cancel() }
            await #expect(throws: BusError(.failed, "")) { try await bus.append(BusMessage(subject: "s")) }
        }
    }

    @Test("a bounded stream that refuses new messages says that it is full")
    func full() async throws {
        try await withBus { _, bus in
            let specification = StreamSpecification(
                name: "S", subjects: ["s"], retention: .workQueue, overflow: .refuseNewest, maximumMessages: 2)
            try await bus.ensureStream(specification)
            try await bus.append(BusMessage(subject: "s"))
            try await bus.append(BusMessage(subject: "s"))
            let error = await result { () async throws(BusError) in try await bus.append(BusMessage(subject: "s")) }
                .failure
            #expect(error == BusError(.streamFull, ""))
            #expect(error?.isRetryable == true)
        }
    }

    @Test("a range is read in order, by subject, from anywhere, however large")
    func ranges() async throws {
        try await withBus { server, bus in
            try await bus.ensureStream(StreamSpecification(name: "S", subjects: ["s.>"]))
            let jetStream = JetStream(try NATSConnection(NATSConnectionOptions(servers: [server.url])))
            let messages = (1...1500).map { number in
                NATSMessage(subject: number.isMultiple(of: 3) ? "s.three" : "s.other", payload: [UInt8]("\(number)"))
            }
            let acknowledgements = try await jetStream.publish(messages, window: 200)
            #expect(acknowledgements.map(\.sequence) == Array(1...1500))

            let all = try await bus.messages(in: "S", subject: nil, after: 0, limit: 5000)
            #expect(all.map(\.sequence) == Array(1...1500))
            #expect(all.map(\.message.text) == (1...1500).map { "\($0)" })
            let threes = try await bus.messages(in: "S", subject: "s.three", after: 300, limit: 400)
            #expect(threes.map(\.sequence) == stride(from: 303, through: 1500, by: 3).map { UInt64($0) })
            let few = try await bus.messages(in: "S", subject: "s.*", after: 1498, limit: 2)
            #expect(few.map(\.sequence) == [1499, 1500])
            #expect(try await bus.messages(in: "S", subject: "s.three", after: 1500, limit: 2).isEmpty)
            #expect(try await bus.messages(in: "S", subject: "s.three", after: 1500, limit: 200).isEmpty)
            #expect(try await bus.messages(in: "S", subject: "s.none", after: 0, limit: 200).isEmpty)
            #expect(try await bus.messages(in: "S", subject: nil, after: .max, limit: 200).isEmpty)
            #expect(try await bus.messages(in: "S", subject: nil, after: 0, limit: 0).isEmpty)
            for limit in [2, 200] {
                await #expect(throws: BusError(.notFound, "")) {
                    try await bus.messages(in: "NONE", subject: nil, after: 0, limit: limit)
                }
            }
        }
    }

    @Test("what was removed is left out, and removing what is not there does nothing")
    func removing() async throws {
        try await withBus { _, bus in
            try await bus.ensureStream(StreamSpecification(name: "S", subjects: ["s.>"]))
            for number in 1...10 {
                try await bus.append(BusMessage(subject: number <= 5 ? "s.a" : "s.b", payload: [UInt8]("\(number)")))
            }
            try await bus.deleteMessage(in: "S", sequence: 2)
            try await bus.deleteMessage(in: "S", sequence: 2)
            try await bus.deleteMessage(in: "S", sequence: 99)
            await #expect(throws: BusError(.notFound, "")) { try await bus.deleteMessage(in: "NONE", sequence: 1) }
            #expect(try await bus.messages(in: "S", subject: "s.a", after: 0, limit: 2).map(\.sequence) == [1, 3])
            #expect(
                try await bus.messages(in: "S", subject: "s.a", after: 0, limit: 100).map(\.sequence) == [1, 3, 4, 5])
            try await bus.purge(stream: "S", subject: "s.b", keep: 2)
            #expect(try await bus.messages(in: "S", subject: "s.b", after: 0, limit: 100).map(\.sequence) == [9, 10])
            try await bus.purge(stream: "S", subject: nil, keep: 0)
            let state = try await bus.streamState("S")
            #expect(state.messages == 0)
            #expect(state.firstSequence == 11)
            #expect(state.lastSequence == 10)
            #expect(try await bus.lastMessage(in: "S", subject: "s.a") == nil)
        }
    }

    @Test("the messages of a work queue can be read without taking them from it")
    func workQueue() async throws {
        try await withBus { _, bus in
            try await bus.ensureStream(StreamSpecification(name: "Q", subjects: ["q.>"], retention: .workQueue))
            let consumer = try await bus.consumer(ConsumerSpecification(stream: "Q", name: "c"))
            for number: UInt8 in 1...6 { try await bus.append(BusMessage(subject: "q.a", payload: [number])) }
            #expect(
                try await bus.messages(in: "Q", subject: "q.a", after: 1, limit: 100).map(\.sequence) == [
                    2, 3, 4, 5, 6,
                ])
            #expect(try await consumer.fetch(10, wait: .seconds(1)).count == 6)
        }
    }

    @Test("a stored message is republished with its sequence and the one before it")
    func republish() async throws {
        try await withBus { _, bus in
            let live = Received()
            let subscription = try bus.subscribe("live.>", onMessage: live.take)
            defer { subscription.cancel() }
            try await bus.ensureStream(
                StreamSpecification(
                    name: "S", subjects: ["s.>"], republish: .init(source: "s.>", destination: "live.>")))
            try await bus.append(BusMessage(subject: "s.a", headers: ["Apus-Event": "e"], payload: [1]))
            try await bus.append(BusMessage(subject: "s.b", payload: [2]))
            try await bus.append(BusMessage(subject: "s.a", payload: [3]))
            let first = await live.next()
            #expect(first?.subject == "live.a")
            #expect(first?.headers[HeaderName.sequence] == "1")
            #expect(first?.headers[HeaderName.lastSequence] == "0")
            #expect(first?.headers["Apus-Event"] == "e")
            _ = await live.next()
            let third = await live.next()
            #expect(third?.headers[HeaderName.sequence] == "3")
            #expect(third?.headers[HeaderName.lastSequence] == "1")
        }
    }

    @Test("a window of publishes goes on after one that fails, and says which")
    func publishWindow() async throws {
        let server = try await NATSServerProcess.start()
        let connection = try NATSConnection(NATSConnectionOptions(servers: [server.url]))
        let jetStream = JetStream(connection)
        try await jetStream.ensureStream(StreamConfiguration(name: "S", subjects: ["s"]))
        var second = NATSMessage(subject: "s", payload: [2])
        second.headers["Nats-Expected-Last-Subject-Sequence"] = "77"
        let outcomes = await jetStream.publishAll(
            [NATSMessage(subject: "s", payload: [1]), second, NATSMessage(subject: "s", payload: [3])], window: 2)
        #expect(outcomes.map { try? $0.get().sequence } == [1, nil, 2])
        #expect(outcomes[1].failure == NATSError(.conflict, ""))
        await #expect(throws: NATSError(.conflict, "")) { try await jetStream.publish([second], window: 10) }
        await connection.close(timeout: .seconds(1))
        await server.stop()
    }
}

/// JetStream's interface as any program may use it.
struct JetStreamByHand {
    let connection: NATSConnection

    init(_ connection: NATSConnection) { self.connection = connection }

    func call(_ operation: String, _ body: String) async throws {
        let answer = try await connection.request(
            NATSMessage(subject: "$JS.API.\(operation)", payload: [UInt8](body)), timeout: .seconds(5))
        #expect(!String(decoding: answer.payload, as: UTF8.self).contains("\"error\""))
    }
}
