import EventBus
import EventBusNATS
import Events
import Synchronization
import TestKit
import Testing

@testable import NATSClient

@Suite("The connection to NATS", .enabled(if: NATSServerProcess.canRun), .timeLimit(.minutes(1)))
struct ConnectionTests {
    @Test("a subscription goes on after the server was killed and started again, and streams keep their content")
    func serverKilled() async throws {
        try await withBus { server, bus in
            let received = Received()
            let subscription = try bus.subscribe("a.>", onMessage: received.take)
            defer { subscription.cancel() }
            try await bus.ensureStream(StreamSpecification(name: "S", subjects: ["s"]))
            let before = try await bus.streamState("S")
            try await bus.append(BusMessage(subject: "s", payload: [UInt8]("kept")))
            try bus.publish(BusMessage(subject: "a.1"))
            #expect(await received.next()?.subject == "a.1")

            let events = bus.connectionEvents()
            await server.kill()
            await wait(for: .disconnected, in: events)
            #expect(!bus.isConnected)
            try await server.restart()
            await connected(bus)

            try bus.publish(BusMessage(subject: "a.2"))
            #expect(await received.next()?.subject == "a.2")
            #expect(try await bus.lastMessage(in: "S", subject: "s")?.message.text == "kept")
            #expect(try await bus.streamState("S").epoch == before.epoch)
        }
    }

    @Test("what waits for an answer fails with a retryable error when the server is killed")
    func pendingFails() async throws {
        try await withBus { server, bus in
            try await bus.ensureStream(StreamSpecification(name: "S", subjects: ["s"]))
            let consumer = try await bus.consumer(ConsumerSpecification(stream: "S", name: "c"))
            let silentService = try bus.subscribe("silent") { _ in }
            defer { silentService.cancel() }
            try await bus.flush(timeout: .seconds(5))

            async let request = result { () async throws(BusError) in
                try await bus.request(BusMessage(subject: "silent"), timeout: .seconds(50))
            }
            async let fetch = result { () async throws(BusError) in try await consumer.fetch(1, wait: .seconds(50)) }
            let appends = Task {
                // Until the first that fails.
                while true { try await bus.append(BusMessage(subject: "s")) }
            }
            await server.kill()
            #expect(await request.failure?.isRetryable == true)
            #expect(await fetch.failure?.isRetryable == true)
            let error = await appends.result.failure as? BusError
            #expect(error?.isRetryable == true)
            await #expect(throws: BusError(.notConnected, "")) {
                while true { try await bus.append(BusMessage(subject: "s")) }
            }
        }
    }

    @Test("a bus made while there is no server connects when one comes, with its subscriptions and what was published")
    func serverAbsentAtStart() async throws {
        let server = try await NATSServerProcess.start()
        await server.kill()
        let bus = try NATSEventBus.connect(NATSConfiguration(servers: [server.url]), logger: silent)
        #expect(!bus.isConnected)
        let received = Received()
        let subscription = try bus.subscribe("a", onMessage: received.take)
        defer { subscription.cancel() }
        try bus.publish(BusMessage(subject: "a", payload: [UInt8]("plain")))
        try bus.publish(BusMessage(subject: "a", headers: ["K": "v"], payload: [UInt8]("with headers")))
        await #expect(throws: BusError(.notConnected, "")) {
            try await bus.request(BusMessage(subject: "a"), timeout: .seconds(5))
        }
        try await server.restart()
        await connected(bus)
        #expect(await received.next()?.text == "plain")
        let second = await received.next()
        #expect(second?.text == "with headers")
        #expect(second?.headers["K"] == "v")
        await bus.close(timeout: .seconds(2))
        await server.stop()
    }

    @Test("messages published while the server is away are kept up to the bound, then refused")
    func reconnectBuffer() async throws {
        try await withBus {
            $0.reconnectBufferBytes = 64 * 1024
        } _: { server, bus in
            let received = Received()
            let subscription = try bus.subscribe("a", onMessage: received.take)
            defer { subscription.cancel() }
            let events = bus.connectionEvents()
            await server.kill()
            await wait(for: .disconnected, in: events)
            var kept = 0
            #expect(throws: BusError(.notConnected, "")) {
                for number in 0..<1000 {
                    try bus.publish(
                        BusMessage(subject: "a", payload: [UInt8](repeating: UInt8(number % 256), count: 1024)))
                    kept += 1
                }
            }
            #expect((32...66).contains(kept))
            try await server.restart()
            await connected(bus)
            for number in 0..<kept { #expect(await received.next()?.payload.first == UInt8(number % 256)) }
        }
    }

    @Test("messages that come faster than a subscription takes them are dropped beyond the bound, and all are counted")
    func slowConsumer() async throws {
        try await withBus {
            $0.pendingMessages = 100
        } _: { server, bus in
            let other = try NATSEventBus.connect(NATSConfiguration(servers: [server.url]), logger: silent)
            let events = bus.connectionEvents()
            let gate = ThreadGate()
            let taken = Atomic(0)
            let subscription = try bus.subscribe("flood") { _ in
                gate.pass()
                taken.add(1, ordering: .relaxed)
            }
            defer { subscription.cancel() }
            try await bus.flush(timeout: .seconds(5))
            // Nothing may be awaited here that comes by a message: the one delivery thread stands at the gate.
            for _ in 0..<1000 { try other.publish(BusMessage(subject: "flood")) }
            let dropped = Atomic(0)
            let counting = Task {
                for await event in events {
                    guard case .slowConsumer("flood", let count) = event else { continue }
                    dropped.add(Int(count), ordering: .relaxed)
                    gate.open()
                }
            }
            defer { counting.cancel() }
            while taken.load(ordering: .relaxed) + dropped.load(ordering: .relaxed) < 1000 {
                try await Task.sleep(for: .milliseconds(2))
            }
            #expect(taken.load(ordering: .relaxed) + dropped.load(ordering: .relaxed) == 1000)
            #expect(dropped.load(ordering: .relaxed) > 500)
            await other.close(timeout: .seconds(1))
        }
    }

    @Test("a request whose task is cancelled ends at once, one without an answer ends in time")
    func cancelAndTimeout() async throws {
        try await withBus { _, bus in
            let asked = Received()
            let service = try bus.subscribe("silent", onMessage: asked.take)
            defer { service.cancel() }
            let request = Task { try await bus.request(BusMessage(subject: "silent"), timeout: .seconds(50)) }
            _ = await asked.next()
            request.cancel()
            await #expect(throws: BusError(.timeout, "")) { try await request.value }

            let start = ContinuousClock.now
            await #expect(throws: BusError(.timeout, "")) {
                try await bus.request(BusMessage(subject: "silent"), timeout: .milliseconds(100))
            }
            #expect(ContinuousClock.now - start >= .milliseconds(100))
            #expect(ContinuousClock.now - start < .seconds(5))

            let cancelledBefore = Task {
                withUnsafeCurrentTask { $0?.cancel() }
                return try await bus.request(BusMessage(subject: "silent"), timeout: .seconds(50))
            }
            await #expect(throws: BusError(.timeout, "")) { try await cancelledBefore.value }
        }
    }

    @Test("many requests at once each get their own answer")
    func manyRequests() async throws {
        try await withBus { _, bus in
            let service = try bus.subscribe("echo", queue: "q") { request in
                guard let replyTo = request.replyTo else { return }
                try? bus.publish(BusMessage(subject: replyTo, payload: request.payload))
            }
            defer { service.cancel() }
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<500 {
                    group.addTask {
                        let answer = try await bus.request(
                            BusMessage(subject: "echo", payload: [UInt8]("\(number)")), timeout: .seconds(20))
                        return answer.text == "\(number)"
                    }
                }
                for try await isRight in group { #expect(isRight) }
            }
        }
    }

    @Test("a frozen server makes calls time out, and they work again when it goes on")
    func frozenServer() async throws {
        try await withBus {
            // Long enough for what must succeed on a busy machine.
            $0.requestTimeout = .seconds(2)
        } _: { server, bus in
            try await bus.ensureStream(StreamSpecification(name: "S", subjects: ["s"]))
            let consumer = try await bus.consumer(ConsumerSpecification(stream: "S", name: "c"))
            await server.suspend()
            await #expect(throws: BusError(.timeout, "")) { try await bus.append(BusMessage(subject: "s")) }
            await #expect(throws: BusError(.timeout, "")) { try await bus.flush(timeout: .milliseconds(100)) }
            await #expect(throws: BusError(.timeout, "")) { try await consumer.fetch(1, wait: .milliseconds(100)) }
            server.resume()
            try await bus.flush(timeout: .seconds(20))
            let stored = try await bus.append(BusMessage(subject: "s"))
            // The one that timed out was stored too: nobody could know.
            #expect(stored.sequence == 2)
        }
    }

    @Test("closing delivers what was published just before and ends subscriptions, calls and events")
    func close() async throws {
        try await withBus { server, bus in
            let other = try NATSEventBus.connect(
                NATSConfiguration(servers: [server.url], name: "other"), logger: silent)
            let received = Received()
            let subscription = try bus.subscribe("a", onMessage: received.take)
            defer { subscription.cancel() }
            try await bus.flush(timeout: .seconds(5))
            let events = other.connectionEvents()
            for number in 0..<1000 { try other.publish(BusMessage(subject: "a", payload: [UInt8]("\(number)"))) }
            await other.close(timeout: .seconds(5))
            for number in 0..<1000 { #expect(await received.next()?.text == "\(number)") }
            var last: BusConnectionEvent?
            for await event in events { last = event }
            #expect(last == .closed)
            #expect(throws: BusError(.closed, "")) { try other.publish(BusMessage(subject: "a")) }
            await #expect(throws: BusError(.closed, "")) {
                try await other.request(BusMessage(subject: "a"), timeout: .seconds(1))
            }
            await other.close(timeout: .seconds(5))
        }
    }

    @Test("a user that the server refuses keeps trying, and is let in when the server knows it")
    func refusedUser() async throws {
        let server = try await NATSServerProcess.start(
            configuration: "authorization { users: [ { user: someone, password: else } ] }")
        let url = server.url.replacing("nats://", with: "nats://me:secret@")
        let bus = try NATSEventBus.connect(NATSConfiguration(servers: [url]), logger: silent)
        let received = Received()
        #expect(!bus.isConnected)
        let subscription = try bus.subscribe("a", onMessage: received.take)
        defer { subscription.cancel() }
        try server.reload(configuration: "authorization { users: [ { user: me, password: secret } ] }")
        await connected(bus)
        try bus.publish(BusMessage(subject: "a", payload: [UInt8]("in")))
        #expect(await received.next()?.text == "in")
        await bus.close(timeout: .seconds(1))
        await server.stop()
    }

    @Test(
        "what the protocol cannot carry is refused before it is sent",
        arguments: ["", "a b", "a\r\nb", "a..b", ".a", "a.", "a.*", ">", "a\tb", "a\u{0}b"])
    func badSubjects(subject: String) async throws {
        try await withBus { _, bus in
            #expect(throws: BusError(.invalidArgument, "")) { try bus.publish(BusMessage(subject: subject)) }
            if !subject.contains("*"), !subject.contains(">") {
                #expect(throws: BusError(.invalidArgument, "")) { try bus.subscribe(subject) { _ in } }
            }
        }
    }

    @Test("headers that would break the protocol and messages that are too large are refused before they are sent")
    func badMessages() async throws {
        try await withBus { _, bus in
            for (name, value) in [("", "x"), ("a b", "x"), ("a:", "x"), ("A", "x\r\nB: y"), ("A", "x\u{0}y")] {
                #expect(throws: BusError(.invalidArgument, "")) {
                    try bus.publish(BusMessage(subject: "a", headers: [name: value]))
                }
            }
            let limit = 1 << 20
            #expect(throws: BusError(.payloadTooLarge, "")) {
                try bus.publish(BusMessage(subject: "a", payload: [UInt8](repeating: 0, count: limit + 1)))
            }
            #expect(throws: BusError(.payloadTooLarge, "")) {
                try bus.publish(
                    BusMessage(subject: "a", headers: ["A": "b"], payload: [UInt8](repeating: 0, count: limit)))
            }
            try bus.publish(BusMessage(subject: "a", payload: [UInt8](repeating: 0, count: limit)))
            try await bus.flush(timeout: .seconds(5))
            #expect(bus.isConnected)
        }
    }

    @Test("a bus cannot be made with servers that are no addresses or credentials that are not there")
    func badConfiguration() {
        #expect(throws: BusError.self) {
            try NATSEventBus.connect(NATSConfiguration(servers: []), logger: silent)
        }
        #expect(throws: BusError.self) {
            try NATSEventBus.connect(NATSConfiguration(servers: ["nats://host:port"]), logger: silent)
        }
        #expect(throws: BusError.self) {
            try NATSEventBus.connect(
                NATSConfiguration(servers: ["nats://127.0.0.1:1"], credentials: "/nonexistent"), logger: silent)
        }
    }

    @Test("what callbacks held and the connection itself are let go when they have ended")
    func memory() async throws {
        final class Held: Sendable {}
        let server = try await NATSServerProcess.start()
        var connection: NATSConnection? = try NATSConnection(NATSConnectionOptions(servers: [server.url]))
        weak let core = connection?.core
        weak var cancelled: Held?
        weak var running: Held?
        do {
            let first = Held()
            let second = Held()
            cancelled = first
            running = second
            let subscription = try connection?.subscribe("a") { _ in withExtendedLifetime(first) {} }
            try connection?.subscribe("b") { _ in withExtendedLifetime(second) {} }
            try connection?.publish(NATSMessage(subject: "a"))
            try await connection?.flush(timeout: .seconds(5))
            subscription?.cancel()
        }
        while cancelled != nil { try await connection?.flush(timeout: .seconds(5)) }
        #expect(running != nil)
        await connection?.close(timeout: .seconds(2))
        while running != nil { await Task.yield() }
        connection = nil
        while core != nil { await Task.yield() }
        await server.stop()
    }

    @Test("a sequence of messages drops beyond its bound, says how many, and ends with the connection")
    func messageSequence() async throws {
        let server = try await NATSServerProcess.start()
        let connection = try NATSConnection(NATSConnectionOptions(servers: [server.url]))
        let events = connection.events()
        let messages = try connection.messages(on: "a", bufferLimit: 10)
        for number in 0..<25 { try connection.publish(NATSMessage(subject: "a", payload: [UInt8]("\(number)"))) }
        try await connection.flush(timeout: .seconds(5))
        var iterator = messages.makeAsyncIterator()
        for number in 0..<10 { #expect(await iterator.next()?.payload == [UInt8]("\(number)")) }
        try connection.publish(NATSMessage(subject: "a", payload: [UInt8]("next")))
        #expect(await iterator.next()?.payload == [UInt8]("next"))
        var reported: NATSConnectionEvent?
        for await event in events {
            reported = event
            if case .slowConsumer = event { break }
        }
        #expect(reported == .slowConsumer(subject: "a", dropped: 15))
        await connection.close(timeout: .seconds(1))
        #expect(await iterator.next() == nil)
        await server.stop()
    }
}
