import EventBus
import EventBusNATS
import Events
import NATSClient
import TestKit
import Testing

@Suite("Key-value on JetStream", .enabled(if: NATSServerProcess.canRun), .timeLimit(.minutes(1)))
struct KeyValueTests {
    @Test("values, revisions, deletions and purges are kept as told")
    func basics() async throws {
        try await withBus { _, bus in
            let bucket = try await bus.keyValue(BucketSpecification(name: "B", history: 3))
            _ = try await bus.keyValue(BucketSpecification(name: "B", history: 3))
            #expect(try await bucket.get("k") == nil)
            #expect(try await bucket.history("k").isEmpty)
            #expect(try await bucket.keys().isEmpty)
            for value: UInt8 in 1...5 { try await bucket.put("k", [value]) }
            try await bucket.put("other.x", [])
            #expect(try await bucket.get("k")?.value == [5])
            #expect(try await bucket.get("other.x")?.value == [])
            #expect(try await bucket.history("k").map(\.value) == [[3], [4], [5]])
            #expect(try await bucket.keys().sorted() == ["k", "other.x"])
            #expect(try await bucket.keys(matching: "other.*") == ["other.x"])
            try await bucket.delete("k")
            #expect(try await bucket.get("k") == nil)
            #expect(try await bucket.keys() == ["other.x"])
            #expect(try await bucket.history("k").map(\.operation) == [.put, .put, .delete])
            let revision = try await bucket.update("k", [6], revision: nil)
            #expect(try await bucket.get("k")?.revision == revision)
            try await bucket.purge("k")
            #expect(try await bucket.history("k").map(\.operation) == [.purge])
            try await bucket.update("k", [7], revision: nil)
            #expect(try await bucket.get("k")?.value == [7])
            for key in ["", "a b", "a..b", ".a", "a.", "*", "ä", "a:b"] {
                await #expect(throws: BusError(.invalidArgument, "")) { try await bucket.put(key, []) }
            }
        }
    }

    @Test("of many who update from the same revision exactly one wins, every time")
    func compareAndSet() async throws {
        try await withBus { _, bus in
            let bucket = try await bus.keyValue(BucketSpecification(name: "B"))
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        var won = 0
                        while won < 10 {
                            let outcome = await result { () async throws(BusError) in
                                let present = try await bucket.get("count")
                                let count = present?.value.first ?? 0
                                return try await bucket.update("count", [count + 1], revision: present?.revision)
                            }
                            switch outcome {
                            case .success: won += 1
                            case .failure(let error): #expect(error == BusError(.conflict, ""))
                            }
                        }
                    }
                }
            }
            #expect(try await bucket.get("count")?.value == [80])
        }
    }

    @Test("a watch gives what is there, then every change once and in order, across a restart of the server")
    func watchAcrossRestart() async throws {
        try await withBus { server, bus in
            // As many revisions as are put while the watch may not have read them yet: it sees what the bucket keeps.
            let bucket = try await bus.keyValue(BucketSpecification(name: "B", history: 64))
            try await bucket.put("a.deleted", [0])
            try await bucket.delete("a.deleted")
            for number: UInt8 in 1...3 { try await bucket.put("a.\(number)", [number]) }
            try await bucket.put("unrelated", [9])
            var watch = try await bucket.watch("a.>", bufferLimit: 1000).makeAsyncIterator()
            for number: UInt8 in 1...3 { #expect(await watch.next()?.entry?.value == [number]) }
            #expect(await watch.next() == .caughtUp)
            for number: UInt8 in 10...30 { try await bucket.put("a.x", [number]) }
            for number: UInt8 in 10...30 { #expect(await watch.next()?.entry?.value == [number]) }

            for round: UInt8 in 0..<3 {
                let events = bus.connectionEvents()
                await server.kill()
                await wait(for: .disconnected, in: events)
                try await server.restart()
                await connected(bus)
                for number: UInt8 in 0..<5 { try await bucket.put("a.y", [round, number]) }
                try await bucket.delete("a.y")
                for number: UInt8 in 0..<5 { #expect(await watch.next()?.entry?.value == [round, number]) }
                #expect(await watch.next()?.entry?.operation == .delete)
            }
        }
    }

    @Test("a watch with a large beginning gives each key once and then says that it caught up")
    func largeWatch() async throws {
        try await withBus { server, bus in
            let bucket = try await bus.keyValue(BucketSpecification(name: "B"))
            let jetStream = JetStream(try NATSConnection(NATSConnectionOptions(servers: [server.url])))
            _ = try await jetStream.publish(
                (0..<2000).map { NATSMessage(subject: "$KV.B.k\($0 % 700)", payload: [UInt8]("\($0)")) }, window: 256)
            var keys: [String] = []
            for await event in try await bucket.watch(">", bufferLimit: 5000) {
                guard let entry = event.entry else {
                    #expect(event == .caughtUp)
                    break
                }
                keys.append(entry.key)
            }
            #expect(keys.count == 700)
            #expect(Set(keys).count == 700)
            #expect(try await bucket.keys().count == 700)
        }
    }

    @Test("a watcher that does not read is told how much it lost, and the watch ends")
    func slowWatcher() async throws {
        try await withBus { _, bus in
            let bucket = try await bus.keyValue(BucketSpecification(name: "B", history: 64))
            let slow = try await bucket.watch(">", bufferLimit: 10)
            var other = try await bucket.watch(">", bufferLimit: 1000).makeAsyncIterator()
            for number: UInt8 in 0..<40 { try await bucket.put("k", [number]) }
            #expect(await other.next() == .caughtUp)
            for number: UInt8 in 0..<40 { #expect(await other.next()?.entry?.value == [number]) }
            var entries = 0
            var events: [KeyValueEvent] = []
            for await event in slow {
                if event.entry != nil { entries += 1 } else { events.append(event) }
            }
            #expect(entries <= 10)
            guard case .lost(let count)? = events.last else {
                Issue.record("the last event is \(String(describing: events.last))")
                return
            }
            #expect(count > 0)
            #expect(events.dropLast() == [.caughtUp])
        }
    }

    @Test("a watch of a bucket that is deleted and made again ends and says so")
    func recreatedBucket() async throws {
        try await withBus { server, bus in
            let bucket = try await bus.keyValue(BucketSpecification(name: "B"))
            try await bucket.put("k", [1])
            var watch = try await bucket.watch(">", bufferLimit: 10).makeAsyncIterator()
            #expect(await watch.next()?.entry?.value == [1])
            #expect(await watch.next() == .caughtUp)
            try await bus.deleteStream("KV_B")
            _ = try await bus.keyValue(BucketSpecification(name: "B"))
            #expect(await watch.next() == .lost(0))
            #expect(await watch.next() == nil)
        }
    }

    @Test("a value is gone after its time to live")
    func timeToLive() async throws {
        try await withBus { _, bus in
            let bucket = try await bus.keyValue(BucketSpecification(name: "B", timeToLive: .seconds(1)))
            try await bucket.put("k", [1])
            #expect(try await bucket.get("k") != nil)
            while try await bucket.get("k") != nil { try await bus.flush(timeout: .seconds(5)) }
            #expect(try await bucket.keys().isEmpty)
        }
    }

    @Test("watching ends when the task that reads is cancelled")
    func cancellation() async throws {
        try await withBus { _, bus in
            let bucket = try await bus.keyValue(BucketSpecification(name: "B"))
            let (caughtUp, continuation) = AsyncStream.makeStream(of: Void.self)
            let reader = Task {
                for await _ in try await bucket.watch(">", bufferLimit: 10) { continuation.yield() }
            }
            for await _ in caughtUp { break }
            reader.cancel()
            try await reader.value
        }
    }
}

extension KeyValueEvent {
    var entry: KeyValueEntry? { if case .entry(let entry) = self { entry } else { nil } }
}
