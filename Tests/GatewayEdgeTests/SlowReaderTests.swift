import EventBus
import Events
import GatewaySession
import GatewayWire
import JSON
import NIOCore
import Testing

@testable import GatewayEdge

/// What happens to clients that read more slowly than messages come, and what does not happen to the others.
@Suite(.timeLimit(.minutes(1))) struct SlowReaderTests {
    private let limits = GatewayLimits(outboundBytes: 1000)
    private let payload = "\"" + String(repeating: "x", count: 98) + "\""

    private func publish(_ texts: [String], on channel: String, _ harness: ShardHarness) async throws {
        try await harness.shard.receive(texts.map { (ShardHarness.delivery($0), channel: channel) })
    }

    @Test("with disconnect a slow client is closed, and the others get everything")
    func disconnect() async throws {
        try await ShardHarness.run(limits: limits) { harness in
            let (slow, fast) = (RecordingTransport(reads: false), RecordingTransport())
            for transport in [slow, fast] {
                _ = await harness.open(.plainWebSocket, PlainWebSocket(channel: "live:a"), transport, ["live:a"])
            }
            try await publish(Array(repeating: payload, count: 50), on: "live:a", harness)
            #expect(slow.state.closedWith == Disconnect(code: 4008, reason: "Too slow"))
            #expect(slow.outstandingBytes <= 1100)
            #expect(fast.state.texts == Array(repeating: payload, count: 50))
            #expect(fast.state.closedWith == nil)
        }
    }

    @Test("with latest a slow client gets the newest message, after being told how many are missing")
    func latest() async throws {
        try await ShardHarness.run(limits: limits) { harness in
            let slow = RecordingTransport(reads: false)
            let id = await harness.open(
                .plainWebSocket, PlainWebSocket(channel: "latest:a"), slow, ["latest:a"])
            try await publish(Array(repeating: payload, count: 6) + (1...20).map { "\($0)" }, on: "latest:a", harness)
            #expect(slow.state.closedWith == nil)
            #expect(slow.state.texts == Array(repeating: payload, count: 6))
            slow.take(600)
            await harness.shard.becameWritable(id)
            let rest = slow.state.texts.dropFirst(6)
            #expect(rest.count == 2)
            #expect(
                try JSONValue(parsing: rest.first ?? "") == ["type": "dropped", "channel": "latest:a", "count": 19])
            #expect(rest.last == "20")
            try await publish(["21"], on: "latest:a", harness)
            #expect(slow.state.texts.last == "21")
        }
    }

    @Test(
        "with drop_oldest the newest messages wait, come in order as the client can take them, and nothing goes twice")
    func dropOldest() async throws {
        try await ShardHarness.run(limits: limits) { harness in
            let slow = RecordingTransport(reads: false)
            let id = await harness.open(
                .plainWebSocket, PlainWebSocket(channel: "oldest:a"), slow, ["oldest:a"])
            // 6 go out, 64 of the next 100 wait.
            let numbered = (0..<106).map { "\"\(String(repeating: "0", count: 95 - "\($0)".count))\($0)...\"" }
            try await publish(numbered, on: "oldest:a", harness)
            let sent = slow.state.written.count
            #expect(slow.state.texts == Array(numbered[..<sent]))
            var dropped = 0
            for _ in 0..<100 where slow.state.texts.last != numbered.last {
                slow.take(slow.outstandingBytes)
                await harness.shard.becameWritable(id)
                #expect(slow.outstandingBytes <= 700)
            }
            var messages: [String] = []
            for text in slow.state.texts {
                if let count = try JSONValue(parsing: text)["count"]?.integerValue {
                    dropped += Int(count)
                    // What is missing is missing here: the next message is so many further.
                    #expect(messages.count == sent)
                } else {
                    messages.append(text)
                }
            }
            #expect(dropped == 106 - sent - 64)
            #expect(messages == Array(numbered[..<sent]) + numbered.suffix(64))
        }
    }

    @Test("answers to a client that never reads do not pile up")
    func replies() async throws {
        try await ShardHarness.run(limits: GatewayLimits(connectionMessagesPerSecond: nil, outboundBytes: 1000)) {
            harness in
            let slow = RecordingTransport(reads: false)
            let id = await harness.open(.plainWebSocket, PlainWebSocket(channel: "live:a"), slow, ["live:a"])
            for _ in 0..<1000 { await harness.shard.receive(Array("{".utf8), from: id) }
            #expect(slow.state.closedWith?.code == 4008)
            #expect(slow.outstandingBytes < 1200)
        }
    }

    @Test(
        "an answer that is larger than the bound is no reason to be closed before it can be read, but two of them are")
    func largeAnswer() async throws {
        let limits = GatewayLimits(outboundBytes: 1000)
        try await ShardHarness.run(limits: limits) { harness in
            let lobby = try ChannelName("room:a")
            for _ in 0..<50 {
                try await harness.bus.append(
                    BusMessage(subject: Subjects.standard.channel(lobby), payload: Array(payload.utf8)))
            }
            let slow = RecordingTransport(reads: false)
            let id = await harness.shard.openCommands(slow)
            func send(_ text: String) async { await harness.shard.receive(Array(text.utf8), from: id) }
            await send(#"{"id":1,"connect":{}}"#)
            await send(#"{"id":2,"subscribe":{"channel":"room:a"}}"#)
            await slow.wait { $0.written.count == 2 }
            slow.take(slow.outstandingBytes)
            await send(#"{"id":3,"history":{"channel":"room:a","limit":-1}}"#)
            await slow.wait { $0.written.count == 3 }
            #expect(slow.outstandingBytes > 5000)
            await send(#"{"id":4,"ping":{}}"#)
            #expect(slow.state.closedWith == nil)
            await send(#"{"id":5,"history":{"channel":"room:a","limit":-1}}"#)
            await slow.wait { $0.written.count == 5 }
            await send(#"{"id":6,"ping":{}}"#)
            #expect(slow.state.closedWith == .slow)
        }
    }

    @Test("messages that come faster than a shard takes them interrupt the channel, on every protocol")
    func overflow() async throws {
        try await ShardHarness.run(inbox: ShardInbox(maximumCount: 3)) { harness in
            let (plain, stream, other) = (RecordingTransport(), RecordingTransport(), RecordingTransport())
            _ = await harness.open(.plainWebSocket, PlainWebSocket(channel: "live:a"), plain, ["live:a"])
            _ = await harness.open(.serverSentEvents, ServerSentEvents(), stream, ["live:a"])
            _ = await harness.open(.plainWebSocket, PlainWebSocket(channel: "live:b"), other, ["live:b"])
            try await harness.shard.receive(
                (1...4).map { (ShardHarness.delivery("\($0)"), channel: $0 == 2 ? "live:b" : "live:a") })
            #expect(plain.state.texts == ["1", "3"])
            #expect(plain.state.closedWith?.code == 1012)
            #expect(stream.state.closedWith == .insufficientState)
            #expect(other.state.texts == ["2"])
            #expect(other.state.closedWith == nil)
        }
    }

    @Test("a stream whose history is more than may wait is ended there, and goes on from there")
    func longRecovery() async throws {
        try await ShardHarness.run(limits: limits) { harness in
            let first = RecordingTransport()
            _ = await harness.open(.longPolling, LongPolling(), first, ["room:a"])
            var position = StreamPosition(epoch: "", offset: 0)
            let lobby = try ChannelName("room:a")
            position.epoch = await harness.hub.epoch(of: "room") ?? ""
            for number in 1...60 {
                try await harness.bus.append(
                    BusMessage(
                        subject: Subjects.standard.channel(lobby),
                        payload: Array("\"\(number) \(payload.dropFirst())".utf8)))
            }
            var cursor = ChannelCursor()
            cursor["room:a"] = position
            var numbers: [String] = []
            for _ in 0..<60 where numbers.count < 60 {
                let transport = RecordingTransport(reads: false)
                let id = await harness.open(.longPolling, LongPolling(), transport, ["room:a"], from: cursor)
                let progress = try #require(await harness.shard.endPoll(id))
                #expect(progress.lost.isEmpty)
                #expect(!transport.state.written.isEmpty)
                #expect(transport.outstandingBytes < 1400)
                for text in transport.state.texts {
                    let data = try JSONValue(parsing: text)["data"]?.stringValue ?? ""
                    numbers.append(String(data.prefix { $0 != " " }))
                }
                cursor = progress.position
            }
            #expect(numbers == (1...60).map(String.init))
        }
    }
}

@Suite(.timeLimit(.minutes(1))) struct EventStreamTests {
    @Test("what is written comes out in order and in pieces, and counts until the socket has it")
    func pieces() async throws {
        let stream = EventStream(mark: WriteMark(outboundBytes: 1 << 20))
        let message = Array(repeating: UInt8(ascii: "a"), count: 20_000)
        for _ in 0..<5 { stream.write(message) }
        #expect(stream.outstandingBytes == 100_000)
        var sizes: [Int] = []
        stream.close(.shutdown)
        while let buffer = await stream.next() {
            sizes.append(buffer.readableBytes)
            stream.wrote(buffer.readableBytes)
        }
        #expect(sizes == [40_000, 40_000, 20_000])
        #expect(stream.outstandingBytes == 0)
        #expect(stream.end == .shutdown)
    }

    @Test("a client that is closed for being slow gets no more, and what waited is freed")
    func slow() async {
        let stream = EventStream(mark: WriteMark(outboundBytes: 1000))
        for _ in 0..<20 { stream.write(Array(repeating: 0x61, count: 100)) }
        stream.close(.slow)
        #expect(await stream.next() == nil)
        stream.write([1])
        #expect(await stream.next() == nil)
    }

    @Test("the shard is told that there is room once for each time there was none")
    func writable() async {
        let stream = EventStream(mark: WriteMark(outboundBytes: 1000))
        let (told, teller) = AsyncStream<Void>.makeStream()
        stream.onWritable { teller.yield() }
        stream.write(Array(repeating: 0x61, count: 400))
        stream.wrote(400)
        stream.write(Array(repeating: 0x61, count: 600))
        stream.wrote(100)
        stream.wrote(300)
        stream.wrote(200)
        teller.finish()
        var count = 0
        for await _ in told { count += 1 }
        #expect(count == 1)
    }

    @Test("marks stay below the half of the bound, however small it is")
    func marks() {
        for bytes in [1, 2, 100, 10_000, 131_072, 1 << 20] {
            let mark = WriteMark(outboundBytes: bytes)
            #expect(mark.low <= mark.high)
            #expect(mark.high <= max(1, bytes / 2))
        }
        #expect(WriteMark(outboundBytes: 0).high == 65_536)
    }
}
