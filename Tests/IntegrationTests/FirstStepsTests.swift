import EventBus
import EventBusNATS
import Events
import TestKit
import Testing

@Suite("The bus over a real server", .enabled(if: NATSServerProcess.canRun), .timeLimit(.minutes(1)))
struct FirstStepsTests {
    @Test("publish, subscribe, request, streams, consumers and key-value work end to end")
    func endToEnd() async throws {
        try await withBus { _, bus in
            let (received, continuation) = AsyncStream.makeStream(of: BusMessage.self)
            let subscription = try bus.subscribe("a.*") { continuation.yield($0) }
            try bus.publish(BusMessage(subject: "a.b", headers: ["X-One": "1"], payload: [UInt8]("hello")))
            var iterator = received.makeAsyncIterator()
            let message = await iterator.next()
            #expect(message?.text == "hello")
            #expect(message?.headers["x-one"] == "1")
            subscription.cancel()

            let service = try bus.subscribe("echo") { request in
                guard let replyTo = request.replyTo else { return }
                try? bus.publish(BusMessage(subject: replyTo, payload: request.payload))
            }
            let answer = try await bus.request(
                BusMessage(subject: "echo", payload: [UInt8]("ping")), timeout: .seconds(2))
            #expect(answer.text == "ping")
            service.cancel()
            try await bus.flush(timeout: .seconds(2))
            await #expect(throws: BusError(.noResponders, "")) {
                try await bus.request(BusMessage(subject: "echo"), timeout: .seconds(2))
            }

            let specification = StreamSpecification(
                name: "S", subjects: ["s.>"], maximumMessagesPerSubject: 10, maximumAge: .seconds(3600),
                republish: .init(source: "s.>", destination: "live.>"))
            let state = try await bus.ensureStream(specification)
            #expect(state.messages == 0)
            #expect(try await bus.ensureStream(specification) == state)
            for index in 1...5 {
                let receipt = try await bus.append(
                    BusMessage(subject: "s.a", headers: ["K": "v"], payload: [UInt8]("m\(index)")))
                #expect(receipt.sequence == UInt64(index))
            }
            let all = try await bus.messages(in: "S", subject: "s.a", after: 1, limit: 100)
            #expect(all.map(\.message.text) == ["m2", "m3", "m4", "m5"])
            #expect(all.first?.message.headers["K"] == "v")
            let two = try await bus.messages(in: "S", subject: nil, after: 0, limit: 2)
            #expect(two.map(\.message.text) == ["m1", "m2"])
            #expect(two.map(\.storedAt).first == two.first?.storedAt)
            let last = try await bus.lastMessage(in: "S", subject: "s.>")
            #expect(last == all.last)

            let consumer = try await bus.consumer(ConsumerSpecification(stream: "S", name: "c"))
            let deliveries = try await consumer.fetch(3, wait: .seconds(2))
            #expect(deliveries.map(\.message.text) == ["m1", "m2", "m3"])
            for delivery in deliveries { try await delivery.acknowledge() }
            #expect(deliveries.last?.pending == 2)

            let bucket = try await bus.keyValue(BucketSpecification(name: "B", history: 5))
            let revision = try await bucket.update("k.a", [1], revision: nil)
            try await bucket.update("k.a", [2], revision: revision)
            #expect(try await bucket.get("k.a")?.value == [2])
            #expect(try await bucket.history("k.a").map(\.value) == [[1], [2]])
            #expect(try await bucket.keys() == ["k.a"])
            var watch = try await bucket.watch("k.>", bufferLimit: 100).makeAsyncIterator()
            guard case .entry(let entry)? = await watch.next() else { return #expect(Bool(false), "no entry") }
            #expect(entry.value == [2])
            #expect(await watch.next() == .caughtUp)
            try await bucket.delete("k.a")
            guard case .entry(let change)? = await watch.next() else { return #expect(Bool(false), "no change") }
            #expect(change.operation == .delete)
        }
    }
}
