import EventBus
import Events
import GatewaySession
import GatewayWire
import Testing

/// The hub on the bus in memory: continuity, recovery, and what is said when messages are gone.
@Suite(.timeLimit(.minutes(1))) struct HubTests {
    private let harness: HubHarness
    private var bus: MemoryBus { harness.bus }
    private var subjects: Subjects { harness.subjects }
    private var lobby: ChannelName { harness.lobby }

    init() throws { harness = try HubHarness() }

    private func withHub(_ body: (Hub) async throws -> Void) async throws { try await harness.run(body) }

    private func publish(_ numbers: ClosedRange<Int>) async throws { try await harness.publish(numbers) }

    @Test("messages come once and in order, and a reader that was away goes on where it was")
    func continues() async throws {
        try await withHub { hub in
            try await publish(1...3)
            let receiver = RecordingReceiver()
            let channel = try await hub.attach(lobby, receiver)
            #expect(channel.position.offset == 3)
            try await publish(4...5)
            await receiver.wait(for: 2)
            #expect(receiver.offsets == [4, 5])
            let recovery = try await hub.recover(
                channel, from: StreamPosition(epoch: channel.position.epoch, offset: 1))
            #expect(recovery.outcome == .recovered)
            #expect(recovery.messages.map(\.sequence) == [2, 3, 4, 5])
            #expect(recovery.position.offset == 5)
        }
    }

    @Test("what a message carries of what it has overtaken comes before it, once, and is no part of the history")
    func overtaken() async throws {
        try await withHub { hub in
            func publish(_ payload: String, overtaking: String) async throws {
                try await bus.append(
                    BusMessage(
                        subject: subjects.channel(lobby),
                        headers: [HeaderName.overtaken: overtaking, HeaderName.event: "step"],
                        payload: Array(payload.utf8)))
            }
            let receiver = RecordingReceiver()
            let channel = try await hub.attach(lobby, receiver)
            try await publish(#"{"at":3,"of":"x"}"#, overtaking: #"[{"at":1}, {"at":2,"\u00e9":[]}]"#)
            await receiver.wait(for: 3)
            // Missed, and read from the stream.
            bus.setConnected(false)
            let other = bus.anotherConnection()
            try await other.append(
                BusMessage(
                    subject: subjects.channel(lobby), headers: [HeaderName.overtaken: "[4]"], payload: Array("5".utf8)))
            bus.setConnected(true)
            await receiver.wait(for: 5)
            let tooMany = "[" + Array(repeating: "1", count: 101).joined(separator: ",") + "]"
            for rubbish in ["", "[", "{}", tooMany, "[1,]"] { try await publish("6", overtaking: rubbish) }
            let large = #"{"at":"\#(String(repeating: "x", count: 30_000))"}"#
            let tooLarge = "[" + Array(repeating: #"{"of":1}"#, count: 40).joined(separator: ",") + "]"
            try await publish(large, overtaking: tooLarge)
            await receiver.wait(for: 11)
            #expect(
                receiver.publications == [
                    #"step {"at":1,"of":"x"}"#, #"step {"at":2,"of":"x","é":[]}"#, #"step {"at":3,"of":"x"}"#,
                    "message 4", "message 5",
                ] + Array(repeating: "step 6", count: 5) + ["step \(large)"])
            #expect(receiver.offsets == [1, 2, 3, 4, 5, 6, 7, 8])
            let recovery = try await hub.recover(
                channel, from: StreamPosition(epoch: channel.position.epoch, offset: 2))
            #expect(recovery.messages.map(\.sequence) == [3, 4, 5, 6, 7, 8])
        }
    }

    @Test("exactly a whole history behind is recovered, one more is not")
    func recoveryLimit() async throws {
        try await withHub { hub in
            try await publish(1...8)
            let channel = try await hub.attach(lobby, RecordingReceiver())
            let epoch = channel.position.epoch
            let inside = try await hub.recover(channel, from: StreamPosition(epoch: epoch, offset: 3))
            #expect(inside.outcome == .recovered)
            #expect(inside.messages.map(\.sequence) == [4, 5, 6, 7, 8])
            let outside = try await hub.recover(channel, from: StreamPosition(epoch: epoch, offset: 1))
            #expect(outside.outcome == .failed)
            #expect(outside.messages.isEmpty)
            let unchanged = try await hub.recover(channel, from: channel.position)
            #expect(unchanged.outcome == .recovered)
            #expect(unchanged.messages.isEmpty)
        }
    }

    @Test("another life of the stream, or a position from the future, cannot be continued")
    func otherEpoch() async throws {
        try await withHub { hub in
            try await publish(1...2)
            let channel = try await hub.attach(lobby, RecordingReceiver())
            let other = try await hub.recover(channel, from: StreamPosition(epoch: "other", offset: 2))
            #expect(other.outcome == .failed)
            let future = try await hub.recover(
                channel, from: StreamPosition(epoch: channel.position.epoch, offset: 99))
            #expect(future.outcome == .failed)
        }
    }

    @Test("messages that were missed while the bus was away are read from the stream when it is back")
    func healsAfterOutage() async throws {
        try await withHub { hub in
            let receiver = RecordingReceiver()
            _ = try await hub.attach(lobby, receiver)
            try await publish(1...1)
            await receiver.wait(for: 1)
            let other = bus.anotherConnection()
            bus.setConnected(false)
            for number in 2...4 {
                try await other.append(BusMessage(subject: subjects.channel(lobby), payload: Array("\(number)".utf8)))
            }
            bus.setConnected(true)
            await receiver.wait(for: 4)
            #expect(receiver.offsets == [1, 2, 3, 4])
            #expect(receiver.interruptions == 0)
        }
    }

    @Test("more missed than the history keeps is said, not passed over")
    func saysWhenLost() async throws {
        try await withHub { hub in
            let receiver = RecordingReceiver()
            _ = try await hub.attach(lobby, receiver)
            try await publish(1...1)
            await receiver.wait(for: 1)
            let other = bus.anotherConnection()
            bus.setConnected(false)
            for number in 2...12 {
                try await other.append(BusMessage(subject: subjects.channel(lobby), payload: Array("\(number)".utf8)))
            }
            bus.setConnected(true)
            await receiver.wait(for: 2)
            #expect(receiver.interruptions == 1)
            try await publish(13...13)
            await receiver.wait(for: 3)
            #expect(receiver.offsets == [1, 13])
        }
    }

    @Test("a stream that was made anew is told to those who are on its channels")
    func recreated() async throws {
        try await withHub { hub in
            let receiver = RecordingReceiver()
            let channel = try await hub.attach(lobby, receiver)
            try await publish(1...2)
            await receiver.wait(for: 2)
            let before = channel.position.epoch
            bus.setConnected(false)
            let other = bus.anotherConnection()
            try await other.deleteStream(subjects.historyStream(namespace: "room"))
            try await other.ensureStream(harness.stream)
            bus.setConnected(true)
            await receiver.wait(for: 3)
            #expect(receiver.interruptions == 1)
            #expect(channel.position.epoch != before)
        }
    }

    @Test("a channel without history passes on what comes, and only JSON")
    func withoutHistory() async throws {
        try await withHub { hub in
            let receiver = RecordingReceiver()
            let name = try ChannelName("live:x")
            let channel = try await hub.attach(name, receiver)
            #expect(channel.history == nil)
            try bus.publish(BusMessage(subject: subjects.channel(name), payload: Array("not JSON".utf8)))
            try bus.publish(BusMessage(subject: subjects.channel(name), payload: Array("1".utf8)))
            await receiver.wait(for: 1)
            #expect(receiver.offsets.isEmpty)
        }
    }

    @Test("clients get a CloudEvent's data, in either mode, live and from the history")
    func cloudEvents() async throws {
        try await withHub { hub in
            let receiver = RecordingReceiver()
            let channel = try await hub.attach(lobby, receiver)
            func publish(_ text: String, _ headers: BusHeaders) async throws {
                try await bus.append(
                    BusMessage(subject: subjects.channel(lobby), headers: headers, payload: Array(text.utf8)))
            }
            let structured: BusHeaders = ["Content-Type": "Application/CloudEvents+JSON; charset=utf-8"]
            let attributes = #""specversion":"1.0","id":"1","source":"/s","type":"t""#
            try await publish(#"{\#(attributes),"data":{"n":1}}"#, structured)
            var named = structured
            named[HeaderName.event] = "chat"
            try await publish("{\(attributes),\n\"data\":2}", named)
            try await publish(#"{"n":3}"#, ["ce-id": "1", "ce-type": "t", "ce-source": "/s", "ce-specversion": "1.0"])
            try await publish("{\(attributes)}", structured)
            // No CloudEvents, though they say so: nobody gets them.
            try await publish(#"{"id":"1","data":{}}"#, structured)
            try await publish(#"{\#(attributes),"data_base64":"AP8="}"#, structured)
            try await publish("not JSON", structured)
            try await publish(#"{"n":4}"#, ["Content-Type": "application/json"])
            let all = [
                #"message {"n":1}"#, "chat 2", #"message {"n":3}"#, "message null", #"message {"n":4}"#,
            ]
            await receiver.wait(for: 5)
            #expect(receiver.publications == all)
            let recovery = try await hub.recover(
                channel, from: StreamPosition(epoch: channel.position.epoch, offset: 3))
            #expect(
                recovery.messages.map { String(decoding: $0.publication.payload, as: UTF8.self) } == [
                    "null", #"{"n":4}"#,
                ])
        }
    }

    @Test("a channel that nobody wants ends after a while, and begins anew for the next")
    func lingers() async throws {
        try await withHub { hub in
            let first = RecordingReceiver()
            let channel = try await hub.attach(lobby, first)
            let start = Moment(milliseconds: 0)
            hub.detach(lobby, first, now: start)
            hub.sweep(now: start.advanced(by: Hub.linger - .milliseconds(1)))
            #expect(try await hub.attach(lobby, first) === channel)
            hub.detach(lobby, first, now: start)
            hub.sweep(now: start.advanced(by: Hub.linger))
            #expect(try await hub.attach(lobby, first) !== channel)
        }
    }
}
