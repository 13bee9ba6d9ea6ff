import EventBus
import EventBusNATS
import NATSClient
import Reactor
import Synchronization
import TestKit
import Testing

/// One after the other: all at once they would take the time that the suites beside them count on.
@Suite("NATSMessageFeed", .serialized, .enabled(if: NATSServerProcess.canRun), .timeLimit(.minutes(2)))
struct FeedTests {
    @Test("keeps the contract of a feed, with messages of another connection", arguments: EventBusContract.feed)
    func contract(_ contract: EventBusContract.FeedCase) async throws {
        try await withFeed { _, bus, feed in try await contract.run(on: feed, publishingBy: bus) }
    }

    @Test(
        "subjects that the protocol cannot carry are refused before they are sent",
        arguments: ["", "a b", "a\r\nb", "a..b", "a.>.b"])
    func badSubjects(subject: String) async throws {
        try await withFeed { _, _, feed in
            #expect(throws: BusError(.invalidArgument, "")) { try feed.subscribe(subject) { _ in } }
            #expect(throws: BusError(.invalidArgument, "")) { try feed.subscribe("a", queue: subject) { _ in } }
            #expect(feed.isConnected)
        }
    }

    @Test("after a crash of the server it says so and has all of 10,000 subscriptions again, in order")
    func crash() async throws {
        try await withFeed { server, bus, feed in
            let inbox = Inbox<BusMessage>()
            for number in 0..<10_000 {
                _ = try feed.subscribe("many.\(number)") { inbox.append($0) }
            }
            try await feed.flush(timeout: .seconds(20))
            let events = feed.connectionEvents()
            await server.kill()
            try await server.restart()
            var seen: [BusConnectionEvent] = []
            for await event in events {
                seen.append(event)
                if event == .connected { break }
            }
            #expect(seen == [.disconnected, .connected])
            await connected(bus)
            for number in 0..<10_000 { try bus.publish(BusMessage(subject: "many.\(number)", payload: [UInt8]("x"))) }
            let received = try await inbox.wait(for: 10_000)
            #expect(received.map(\.subject) == (0..<10_000).map { "many.\($0)" })
        }
    }

    @Test("a flush fails at once while there is no server, and works again when it is back")
    func flushWithoutServer() async throws {
        try await withFeed { server, _, feed in
            let events = feed.connectionEvents()
            await server.kill()
            await wait(for: .disconnected, in: events)
            #expect(!feed.isConnected)
            await #expect(throws: BusError(.notConnected, "")) { try await feed.flush(timeout: .seconds(20)) }
            // What is subscribed meanwhile is there later.
            let inbox = Inbox<BusMessage>()
            try inbox.subscribe(to: "a", on: feed)
            try await server.restart()
            await connected(feed)
            try await feed.flush(timeout: .seconds(20))
        }
    }

    @Test("a frozen server makes a flush time out, and one that stays silent is left")
    func frozen() async throws {
        let server = try await NATSServerProcess.start()
        let reactor = try Reactor(name: "feed")
        defer { reactor.stop() }
        var options = NATSConnectionOptions(servers: [server.url])
        options.pingInterval = .seconds(1)
        let connection = CoreConnection(options, on: reactor)
        let events = connection.events()
        for await event in events where event == .connected { break }
        await server.suspend()
        await #expect(throws: NATSError(.timeout, "")) { try await connection.flush(timeout: .milliseconds(50)) }
        for await event in events where event == .disconnected { break }
        server.resume()
        for await event in events where event == .connected { break }
        try await connection.flush(timeout: .seconds(20))
        connection.close()
        await server.stop()
    }

    @Test("a flush whose task is cancelled ends at once, and all of many at a time are answered")
    func flushes() async throws {
        try await withFeed { server, _, feed in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<500 { group.addTask { try await feed.flush(timeout: .seconds(20)) } }
                try await group.waitForAll()
            }
            await server.suspend()
            let flush = Task { try await feed.flush(timeout: .seconds(60)) }
            flush.cancel()
            await #expect(throws: BusError.self) { try await flush.value }
            server.resume()
        }
    }

    @Test("messages of subscriptions that come and go reach their own subscriber only")
    func churn() async throws {
        try await withFeed { _, bus, feed in
            let isOver = Atomic(false)
            let publisher = Task {
                while !isOver.load(ordering: .relaxed) {
                    for number in 0..<50 { try? bus.publish(BusMessage(subject: "churn.\(number)")) }
                    try? await bus.flush(timeout: .seconds(5))
                }
            }
            let strays = Atomic(0)
            let own = Atomic(0)
            for round in 0..<100 {
                let subscriptions = try (0..<50).map { number in
                    let subject = "churn.\((number + round) % 50)"
                    return try feed.subscribe(subject) { message in
                        if message.subject == subject {
                            own.add(1, ordering: .relaxed)
                        } else {
                            strays.add(1, ordering: .relaxed)
                        }
                    }
                }
                try await feed.flush(timeout: .seconds(20))
                for subscription in subscriptions { subscription.cancel() }
            }
            // Wildcards tell a message's own subject, so a stray could not hide there.
            isOver.store(true, ordering: .relaxed)
            await publisher.value
            #expect(strays.load(ordering: .relaxed) == 0)
            #expect(own.load(ordering: .relaxed) > 0)
        }
    }

    @Test("a subscriber that takes too little is dropped by the server, which shows as a loss, and goes on after it")
    func slowConsumer() async throws {
        try await withFeed(server: "max_payload: 200000\nmax_pending: 200000\nwrite_deadline: \"500ms\"") {
            _, bus, feed in
            let gate = ThreadGate()
            let taken = Inbox<BusMessage>()
            _ = try feed.subscribe("flood") { message in
                gate.pass()
                taken.append(message)
            }
            try await feed.flush(timeout: .seconds(5))
            let events = feed.connectionEvents()
            // More than the kernel holds between both.
            let payload = [UInt8](repeating: 0, count: 100_000)
            for _ in 0..<400 {
                try bus.publish(BusMessage(subject: "flood", payload: payload))
                try await bus.flush(timeout: .seconds(20))
            }
            gate.open()
            await wait(for: .disconnected, in: events)
            await wait(for: .connected, in: events)
            #expect(taken.elements.count < 400)
            try bus.publish(BusMessage(subject: "flood", payload: [UInt8]("after")))
            for count in 1... where try await taken.wait(for: count).last?.text == "after" { break }
        }
    }

    @Test("a message as large as the server takes arrives whole among small ones")
    func largeMessages() async throws {
        try await withFeed { _, bus, feed in
            let inbox = Inbox<BusMessage>()
            try inbox.subscribe(to: "size", on: feed)
            try await feed.flush(timeout: .seconds(5))
            let sizes = [0, 1, 65_535, 65_536, 1_000_000, 3, 1_048_576, 5]
            for size in sizes {
                try bus.publish(BusMessage(subject: "size", payload: (0..<size).map { UInt8(truncatingIfNeeded: $0) }))
            }
            let received = try await inbox.wait(for: sizes.count)
            #expect(received.map(\.payload.count) == sizes)
            #expect(received[4].payload == (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0) })
        }
    }

    @Test(
        "a server that says what none says is left for another, and nothing traps",
        arguments: [
            "HTTP/1.1 400 Bad Request\r\n\r\n", "INFO nonsense\r\n", "INFO {}\r\nMSG a 1 5\r\nhello\r\n",
            "MSG a 99999 2\r\nhi\r\n", "INFO {\"max_payload\":-1}\r\n+OK\r\nPONG\r\nPONG\r\nPONG\r\n",
            "INFO {}\r\n-ERR 'Authorization Violation'\r\n",
            "INFO {\"connect_urls\":[1,\"\",\":\"]}\r\nHMSG a 1 9 3\r\nabc\r\n",
            "\u{0}\u{1}\u{2}\r\n", "INFO {}\r\nPING\r\nPING\r\n" + String(repeating: "x", count: 10_000),
        ])
    func garbage(_ text: String) async throws {
        let fake = try FakeServer(saying: [UInt8](text))
        let server = try await NATSServerProcess.start()
        let reactor = try Reactor(name: "feed")
        defer { reactor.stop() }
        var options = NATSConnectionOptions(servers: ["nats://127.0.0.1:\(fake.port)"])
        options.connectTimeout = .milliseconds(300)
        let lost = CoreConnection(options, on: reactor)
        try await fake.visitors.wait(for: 3)
        options.servers.append(server.url)
        let connection = CoreConnection(options, on: reactor)
        let events = connection.events()
        let collector = Collector()
        _ = try connection.subscribe("a", collector)
        if !connection.isConnected { for await event in events where event == .connected { break } }
        try await connection.flush(timeout: .seconds(20))
        lost.close()
        connection.close()
        await server.stop()
    }

    @Test("what callbacks held and the connection itself are let go when they have ended")
    func memory() async throws {
        final class Held: Sendable {}
        let server = try await NATSServerProcess.start()
        let reactor = try Reactor(name: "feed")
        defer { reactor.stop() }
        let nats = NATSConfiguration(servers: [server.url])
        let bus = try NATSEventBus.connect(nats, logger: silent)
        var feed = NATSMessageFeed.make(nats, bus: bus, on: reactor, logger: silent) as? NATSMessageFeed
        weak let weakFeed = feed
        weak var cancelled: Held?
        weak var running: Held?
        do {
            let (first, second) = (Held(), Held())
            (cancelled, running) = (first, second)
            let subscription = try feed?.subscribe("a") { _ in withExtendedLifetime(first) {} }
            _ = try feed?.subscribe("b") { _ in withExtendedLifetime(second) {} }
            subscription?.cancel()
        }
        #expect(cancelled == nil)
        #expect(running != nil)
        feed?.close()
        #expect(throws: BusError(.closed, "")) { try feed?.subscribe("c") { _ in } }
        feed = nil
        while running != nil || weakFeed != nil { await Task.yield() }
        await bus.close(timeout: .seconds(1))
        await server.stop()
    }
}
