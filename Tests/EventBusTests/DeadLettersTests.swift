import EventBus
import Events
import TestKit
import Testing

@Suite("Dead letters", .timeLimit(.minutes(1)))
struct DeadLettersTests {
    let bus = MemoryBus()
    let letters: DeadLetters

    init() { letters = DeadLetters(bus: bus, subjects: .standard) }

    private func stored() async throws -> [BusMessage] {
        try await bus.messages(in: "APUS_DEAD", subject: nil, after: 0, limit: 100).map(\.message)
    }

    @Test("keep the payload and the headers, and say why, how often and where from")
    func record() async throws {
        try await letters.ensureStream()
        try await letters.ensureStream()
        let original = BusMessage(
            subject: "apus.event.order.x",
            headers: [
                "ce-id": "7", "traceparent": "00-1", "Nats-Msg-Id": "m1", "Nats-Expected-Last-Subject-Sequence": "9",
            ], payload: [0, 255, 10])
        try await letters.record(original, kind: .event, name: "order.x", reason: "no user_id", attempts: 3)
        let letter = try #require(try await stored().first)
        #expect(letter.subject == "apus.dead.event.order.x")
        #expect(letter.payload == original.payload)
        #expect(letter.headers["ce-id"] == "7")
        #expect(letter.headers["traceparent"] == "00-1")
        #expect(letter.headers[HeaderName.reason] == "no user_id")
        #expect(letter.headers[HeaderName.attempts] == "3")
        #expect(letter.headers[HeaderName.originalSubject] == "apus.event.order.x")
        #expect(letter.headers[DeadLetters.originalMessageID] == "m1")
        #expect(letter.headers[HeaderName.messageID] != "m1")
        #expect(letter.headers["Nats-Expected-Last-Subject-Sequence"] == nil)
    }

    @Test("of a message that dies twice are two letters")
    func twice() async throws {
        try await letters.ensureStream()
        let original = BusMessage(subject: "apus.task.default.x", headers: ["Nats-Msg-Id": "m1"])
        for _ in 0..<2 { try await letters.record(original, kind: .task, name: "x", reason: "r", attempts: 1) }
        #expect(try await stored().count == 2)
    }

    @Test("are stored once when the answer of the server was lost")
    func answerLost() async throws {
        try await letters.ensureStream()
        bus.inject(.answerIsLost, into: .append, times: 2)
        try await letters.record(BusMessage(subject: "a"), kind: .task, name: "x", reason: "r", attempts: 1)
        #expect(try await stored().count == 1)
        bus.inject(.answerIsLost, into: .append, times: 3)
        await #expect(throws: BusError(.timeout, "")) {
            try await letters.record(BusMessage(subject: "a"), kind: .task, name: "x", reason: "r", attempts: 1)
        }
    }

    @Test("are not lost silently when there is no stream")
    func noStream() async throws {
        await #expect(throws: BusError(.noResponders, "")) {
            try await letters.record(BusMessage(subject: "a"), kind: .task, name: "x", reason: "r", attempts: 1)
        }
    }

    @Test("cannot be forged by a reason, and have a bounded one")
    func reason() async throws {
        try await letters.ensureStream()
        let reason = "bad\r\nNats-Msg-Id: forged\u{0}" + String(repeating: "é", count: 2000)
        try await letters.record(BusMessage(subject: "a"), kind: .row, name: "x", reason: reason, attempts: 1)
        let written = try #require(try await stored().first?.headers[HeaderName.reason])
        #expect(written.hasPrefix("bad  Nats-Msg-Id: forged "))
        #expect(written.utf8.count <= 512)
        #expect(!written.utf8.contains { $0 < 0x20 })
    }

    @Test(
        "of any name have a valid subject",
        arguments: [
            "", ".", "a..b", "a.", "*", ">", "a b", "a\r\nb", String(repeating: "x", count: 5000), "ä.🙂",
        ])
    func names(name: String) async throws {
        try await letters.ensureStream()
        try await letters.record(BusMessage(subject: "a"), kind: .task, name: name, reason: "r", attempts: 1)
        let subject = try #require(try await stored().first?.subject)
        #expect(subject.hasPrefix("apus.dead.task."))
        #expect(SubjectPattern.isSubject(subject))
    }

    @Test("of a message as large as may be keep a part of it and its size")
    func large() async throws {
        try await letters.ensureStream()
        let payload = Array(repeating: UInt8(7), count: MemoryBus.maximumPayload)
        var original = BusMessage(subject: "a", payload: payload)
        original.headers["x"] = String(repeating: "y", count: 5000)
        try await letters.record(original, kind: .task, name: "x", reason: "r", attempts: 1)
        let letter = try #require(try await stored().first)
        #expect(letter.payload.count == payload.count / 2)
        #expect(letter.headers[DeadLetters.originalSize] == "1048576")
    }
}
