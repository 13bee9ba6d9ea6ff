import EventBus
import Events
import Synchronization
import TestKit
import Testing

/// What is special about the bus in memory: its clock, its connections, its faults.
@Suite("MemoryBus in tests", .timeLimit(.minutes(1)))
struct MemoryBusTests {
    let clock = ManualClock()
    let bus: MemoryBus

    init() { bus = MemoryBus(clock: clock) }

    private func queue() async throws -> any BusConsumer {
        try await bus.ensureStream(StreamSpecification(name: "Q", subjects: ["q.>"], retention: .workQueue))
        return try await bus.consumer(
            ConsumerSpecification(
                stream: "Q", name: "c", acknowledgementWait: .seconds(30), maximumDeliveries: 2))
    }

    @Test("a message comes again when the clock has passed its acknowledgement wait, not before")
    func redelivery() async throws {
        let consumer = try await queue()
        try await bus.append(BusMessage(subject: "q.a"))
        #expect(try await consumer.fetch(1, wait: .zero).count == 1)
        clock.advance(by: .seconds(29))
        #expect(try await consumer.fetch(1, wait: .zero).isEmpty)
        clock.advance(by: .seconds(1))
        #expect(try await consumer.fetch(1, wait: .zero).first?.attempt == 2)
    }

    @Test("a waiting fetch is woken by the clock")
    func wakesFetch() async throws {
        let consumer = try await queue()
        try await bus.append(BusMessage(subject: "q.a"))
        _ = try await consumer.fetch(1, wait: .zero)
        async let again = consumer.fetch(1, wait: .seconds(3600))
        // Its end and the message's return.
        await clock.waitForPlans(2)
        clock.advance(by: .seconds(30))
        #expect(try await again.first?.attempt == 2)
    }

    @Test("a message that was delivered as often as it may be is announced as on nats-server")
    func advisory() async throws {
        let consumer = try await queue()
        let advisories = Inbox<BusMessage>()
        try advisories.subscribe(to: "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.Q.c", on: bus)
        try await bus.append(BusMessage(subject: "q.a"))
        for _ in 0..<2 {
            #expect(try await consumer.fetch(1, wait: .zero).count == 1)
            clock.advance(by: .seconds(30))
        }
        #expect(try await consumer.fetch(1, wait: .zero).isEmpty)
        let advisory = try await advisories.wait(for: 1)[0]
        #expect(String(decoding: advisory.payload, as: UTF8.self).contains(#""stream_seq":1"#))
        #expect(try await bus.streamState("Q").messages == 1)
    }

    @Test("a stream forgets ids and messages by the clock")
    func ages() async throws {
        try await bus.ensureStream(
            StreamSpecification(
                name: "S", subjects: ["s"], maximumAge: .seconds(600), duplicateWindow: .seconds(60)))
        let message = BusMessage(subject: "s", headers: [HeaderName.messageID: "1"])
        #expect(try await !bus.append(message).isDuplicate)
        clock.advance(by: .seconds(59))
        #expect(try await bus.append(message).isDuplicate)
        clock.advance(by: .seconds(1))
        #expect(try await !bus.append(message).isDuplicate)
        clock.advance(by: .seconds(540))
        #expect(try await bus.streamState("S").messages == 1)
        clock.advance(by: .seconds(60))
        #expect(try await bus.streamState("S").messages == 0)
        #expect(try await bus.streamState("S").firstSequence == 3)
    }

    @Test("a value leaves its bucket when its time is over")
    func timeToLive() async throws {
        let bucket = try await bus.keyValue(BucketSpecification(name: "B", timeToLive: .seconds(10)))
        try await bucket.put("a", [1])
        clock.advance(by: .seconds(9))
        #expect(try await bucket.get("a") != nil)
        clock.advance(by: .seconds(1))
        #expect(try await bucket.get("a") == nil)
        #expect(try await bucket.keys().isEmpty)
    }

    @Test("a cut connection throws, keeps what is published, and goes on afterwards")
    func cut() async throws {
        let other = bus.anotherConnection()
        let inbox = Inbox<BusMessage>()
        let events = bus.connectionEvents()
        try inbox.subscribe(to: "a.>", on: bus)
        bus.setConnected(false)
        #expect(!bus.isConnected)
        await #expect(throws: BusError(.notConnected, "")) { try await bus.streamState("S") }
        await #expect(throws: BusError(.notConnected, "")) {
            try await bus.request(BusMessage(subject: "x"), timeout: .seconds(1))
        }
        let elsewhere = Inbox<BusMessage>()
        try elsewhere.subscribe(to: "a.>", on: other)
        try bus.publish(BusMessage(subject: "a.kept"))
        try other.publish(BusMessage(subject: "a.missed"))
        try await other.flush(timeout: .seconds(5))
        #expect(elsewhere.elements.map(\.subject) == ["a.missed"])
        bus.setConnected(true)
        try other.publish(BusMessage(subject: "a.after"))
        #expect(try await inbox.wait(for: 2).map(\.subject) == ["a.kept", "a.after"])
        #expect(elsewhere.elements.map(\.subject) == ["a.missed", "a.kept", "a.after"])
        await bus.close(timeout: .seconds(5))
        #expect(await events.reduce(into: []) { $0.append($1) } == [.disconnected, .connected, .closed])
    }

    @Test("messages published while the connection is cut are bounded")
    func offlineBound() throws {
        bus.setConnected(false)
        let message = BusMessage(subject: "a", payload: Array(repeating: 0, count: 1_000_000))
        var kept = 0
        #expect(throws: BusError(.notConnected, "")) {
            while kept < 100 {
                try bus.publish(message)
                kept += 1
            }
        }
        #expect(kept == 8)
    }

    @Test("what waits for an answer when the connection is lost fails at once")
    func lostWhileWaiting() async throws {
        let consumer = try await queue()
        let subscription = try bus.subscribe("silent") { _ in }
        let bus = bus
        let answer = Task { try await bus.request(BusMessage(subject: "silent"), timeout: .seconds(60)) }
        let fetched = Task { try await consumer.fetch(1, wait: .seconds(60)) }
        await clock.waitForPlans(2)
        bus.setConnected(false)
        await #expect(throws: BusError(.notConnected, "")) { try await answer.value }
        await #expect(throws: BusError(.notConnected, "")) { try await fetched.value }
        subscription.cancel()
    }

    @Test("a watch goes on after a cut and has what happened meanwhile")
    func watchSurvives() async throws {
        let other = bus.anotherConnection()
        let bucket = try await bus.keyValue(BucketSpecification(name: "B"))
        let theirs = try await other.keyValue(BucketSpecification(name: "B"))
        var events = try await bucket.watch(">", bufferLimit: 10).makeAsyncIterator()
        #expect(await events.next() == .caughtUp)
        bus.setConnected(false)
        try await theirs.put("a", [1])
        bus.setConnected(true)
        guard case .entry(let entry)? = await events.next() else {
            Issue.record("no entry")
            return
        }
        #expect(entry.key == "a")
    }

    @Test("faults hit as many calls as were asked for")
    func faults() async throws {
        try await bus.ensureStream(StreamSpecification(name: "S", subjects: ["s"]))
        bus.inject(.fails(BusError(.streamFull, "")), into: .append, times: 2)
        bus.inject(.answerIsLost, into: .append)
        for _ in 0..<2 {
            await #expect(throws: BusError(.streamFull, "")) { try await bus.append(BusMessage(subject: "s")) }
        }
        #expect(try await bus.streamState("S").messages == 0)
        await #expect(throws: BusError(.timeout, "")) { try await bus.append(BusMessage(subject: "s")) }
        #expect(try await bus.streamState("S").messages == 1)
        try await bus.append(BusMessage(subject: "s"))
    }

    @Test("a callback that is too slow loses messages beyond the limit and the connection says so")
    func slowConsumer() async throws {
        let bus = MemoryBus(pendingLimit: 3)
        let events = bus.connectionEvents()
        // The first message holds the delivery thread until all others have been published.
        let gate = Mutex(())
        let inbox = Inbox<BusMessage>()
        let isFirst = Mutex(true)
        let subscription = try bus.subscribe("a") { message in
            let holds = isFirst.withLock { first in
                defer { first = false }
                return first
            }
            if holds { gate.withLock { _ in } }
            inbox.append(message)
        }
        gate.withLock { _ in
            try? bus.publish(BusMessage(subject: "a", payload: [0]))
            for number in UInt8(1)...10 { try? bus.publish(BusMessage(subject: "a", payload: [number])) }
        }
        try await bus.flush(timeout: .seconds(5))
        #expect(inbox.elements.count < 11)
        try bus.publish(BusMessage(subject: "a"))
        var dropped: UInt64 = 0
        // What was dropped before the delivery began, and what was dropped while it was held, are told each on its own.
        for await case .slowConsumer("a", let count) in events {
            dropped += count
            if Int(dropped) + inbox.elements.count >= 11 { break }
        }
        #expect(dropped > 0)
        subscription.cancel()
    }
}
