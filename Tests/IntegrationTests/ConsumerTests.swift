import EventBus
import EventBusNATS
import Events
import NATSClient
import TestKit
import Testing

@Suite("Durable consumers on JetStream", .enabled(if: NATSServerProcess.canRun), .timeLimit(.minutes(1)))
struct ConsumerTests {
    private let queue = StreamSpecification(name: "Q", subjects: ["q.>"], retention: .workQueue)

    @Test("an unanswered message comes again after the acknowledgement wait, an acknowledged one never")
    func redelivery() async throws {
        try await withBus { _, bus in
            try await bus.ensureStream(queue)
            let consumer = try await bus.consumer(
                ConsumerSpecification(stream: "Q", name: "c", acknowledgementWait: .milliseconds(400)))
            try await bus.append(BusMessage(subject: "q.a", payload: [1]))
            try await bus.append(BusMessage(subject: "q.b", payload: [2]))
            let first = try await consumer.fetch(10, wait: .seconds(5))
            #expect(first.map(\.attempt) == [1, 1])
            try await first[1].acknowledge()
            let again = try await consumer.fetch(10, wait: .seconds(5))
            #expect(again.map(\.message.payload) == [[1]])
            #expect(again.map(\.attempt) == [2])
            #expect(again.map(\.sequence) == [1])
            try await again[0].terminate()
            #expect(try await bus.streamState("Q").messages == 0)
            #expect(try await consumer.fetch(10, wait: .milliseconds(600)).isEmpty)
        }
    }

    @Test("a message that is to be retried later comes not before, and not long after")
    func retryDelay() async throws {
        try await withBus { _, bus in
            try await bus.ensureStream(queue)
            let consumer = try await bus.consumer(ConsumerSpecification(stream: "Q", name: "c"))
            try await bus.append(BusMessage(subject: "q.a"))
            let delivery = try #require(try await consumer.fetch(1, wait: .seconds(5)).first)
            let asked = ContinuousClock.now
            try await delivery.retry(after: .milliseconds(500))
            let again = try #require(try await consumer.fetch(1, wait: .seconds(20)).first)
            #expect(ContinuousClock.now - asked >= .milliseconds(490))
            #expect(ContinuousClock.now - asked < .seconds(10))
            #expect(again.attempt == 2)
            try await again.retry()
            #expect(try await consumer.fetch(1, wait: .seconds(20)).first?.attempt == 3)
        }
    }

    @Test("extending keeps a message past the acknowledgement wait")
    func extending() async throws {
        try await withBus { _, bus in
            try await bus.ensureStream(queue)
            let consumer = try await bus.consumer(
                ConsumerSpecification(stream: "Q", name: "c", acknowledgementWait: .milliseconds(600)))
            try await bus.append(BusMessage(subject: "q.a"))
            let delivery = try #require(try await consumer.fetch(1, wait: .seconds(5)).first)
            // Three waits long, nobody else gets it.
            var extended = ContinuousClock.now
            for _ in 0..<9 {
                let others = try await consumer.fetch(1, wait: .milliseconds(200))
                let again = ContinuousClock.now
                try await delivery.extend()
                // On a machine so busy that we came too late to extend it, somebody else may have it from now on.
                guard ContinuousClock.now - extended < .milliseconds(600) else { return }
                extended = again
                #expect(others.isEmpty)
            }
            try await delivery.acknowledge()
            #expect(try await bus.streamState("Q").messages == 0)
        }
    }

    @Test("a message is delivered no more often than allowed, and then stays in the queue")
    func maximumDeliveries() async throws {
        try await withBus { _, bus in
            try await bus.ensureStream(queue)
            let consumer = try await bus.consumer(
                ConsumerSpecification(stream: "Q", name: "c", maximumDeliveries: 2))
            try await bus.append(BusMessage(subject: "q.a"))
            for attempt in 1...2 {
                let delivery = try #require(try await consumer.fetch(1, wait: .seconds(5)).first)
                #expect(delivery.attempt == attempt)
                try await delivery.retry()
            }
            #expect(try await consumer.fetch(1, wait: .milliseconds(300)).isEmpty)
            #expect(try await bus.streamState("Q").messages == 1)
        }
    }

    @Test("each of many messages goes to one of many who fetch at once")
    func sharing() async throws {
        try await withBus { _, bus in
            try await bus.ensureStream(queue)
            let consumer = try await bus.consumer(ConsumerSpecification(stream: "Q", name: "c"))
            let count = 400
            async let appending: Void = {
                for number in 0..<count {
                    try await bus.append(BusMessage(subject: "q.a", payload: [UInt8]("\(number)")))
                }
            }()
            let seen = try await withThrowingTaskGroup(of: [String].self) { group in
                for _ in 0..<5 {
                    group.addTask {
                        var seen: [String] = []
                        while true {
                            let deliveries = try await consumer.fetch(7, wait: .seconds(1))
                            if deliveries.isEmpty, try await bus.streamState("Q").messages == 0, seen.count > 0 {
                                break
                            }
                            for delivery in deliveries {
                                seen.append(delivery.message.text)
                                try await delivery.acknowledge()
                            }
                        }
                        return seen
                    }
                }
                var seen: [String] = []
                for try await part in group { seen += part }
                return seen
            }
            try await appending
            #expect(seen.count == count)
            #expect(Set(seen) == Set((0..<count).map { "\($0)" }))
        }
    }

    @Test("a message that comes while a fetch waits ends the wait")
    func waiting() async throws {
        try await withBus { _, bus in
            try await bus.ensureStream(queue)
            let consumer = try await bus.consumer(ConsumerSpecification(stream: "Q", name: "c"))
            for number in 0..<50 {
                async let fetch = consumer.fetch(10, wait: .seconds(50))
                try await bus.append(BusMessage(subject: "q.a", payload: [UInt8(number)]))
                let deliveries = try await fetch
                #expect(deliveries.map(\.message.payload) == [[UInt8(number)]])
                for delivery in deliveries { try await delivery.acknowledge() }
            }
        }
    }

    @Test("a cancelled fetch ends at once and takes no message with it")
    func cancellation() async throws {
        try await withBus { _, bus in
            try await bus.ensureStream(queue)
            let consumer = try await bus.consumer(ConsumerSpecification(stream: "Q", name: "c"))
            for number in 0..<30 {
                let fetch = Task { try await consumer.fetch(1, wait: .seconds(50)) }
                if number.isMultiple(of: 2) { try await bus.flush(timeout: .seconds(5)) }
                fetch.cancel()
                #expect(try await fetch.value.isEmpty)
            }
            try await bus.flush(timeout: .seconds(5))
            try await bus.append(BusMessage(subject: "q.a"))
            #expect(try await consumer.fetch(1, wait: .seconds(5)).map(\.attempt) == [1])
        }
    }

    @Test("a durable consumer goes on where it was after the server was killed")
    func restart() async throws {
        try await withBus { server, bus in
            try await bus.ensureStream(queue)
            let consumer = try await bus.consumer(
                ConsumerSpecification(stream: "Q", name: "c", acknowledgementWait: .milliseconds(500)))
            for number in 1...3 { try await bus.append(BusMessage(subject: "q.a", payload: [UInt8(number)])) }
            let deliveries = try await consumer.fetch(2, wait: .seconds(5))
            try await deliveries[0].acknowledge()
            let events = bus.connectionEvents()
            await server.kill()
            await wait(for: .disconnected, in: events)
            let error = await result { () async throws(BusError) in try await deliveries[1].acknowledge() }.failure
            #expect(error?.isRetryable == true)
            try await server.restart()
            await connected(bus)
            // The first may come again too: the server may not have written down yet that it was acknowledged.
            var payloads: Set<UInt8> = []
            while !payloads.isSuperset(of: [2, 3]) {
                for delivery in try await consumer.fetch(10, wait: .seconds(5)) {
                    payloads.formUnion(delivery.message.payload)
                    try await delivery.acknowledge()
                }
            }
            #expect(payloads.isSubset(of: [1, 2, 3]))
        }
    }

    @Test("a consumer is changed to what is asked for, or the difference is named")
    func mismatch() async throws {
        try await withBus { server, bus in
            try await bus.ensureStream(StreamSpecification(name: "S", subjects: ["s.>"]))
            var specification = ConsumerSpecification(stream: "S", name: "c", filter: "s.a")
            _ = try await bus.consumer(specification)
            _ = try await bus.consumer(specification)
            specification.acknowledgementWait = .seconds(7)
            specification.maximumUnacknowledged = 5
            _ = try await bus.consumer(specification)

            let somebody = JetStreamByHand(try NATSConnection(NATSConnectionOptions(servers: [server.url])))
            try await somebody.call(
                "CONSUMER.DURABLE.CREATE.S.other",
                #"{"stream_name":"S","config":{"durable_name":"other","ack_policy":"all","deliver_policy":"new"}}"#)
            let error = await result { () async throws(BusError) in
                _ = try await bus.consumer(ConsumerSpecification(stream: "S", name: "other"))
            }.failure
            #expect(error == BusError(.specificationMismatch, ""))
            #expect(error?.message.contains("ack_policy") == true)
            await #expect(throws: BusError(.notFound, "")) {
                _ = try await bus.consumer(ConsumerSpecification(stream: "NONE", name: "c"))
            }
        }
    }

    @Test("fetching from a consumer that was deleted says so, before and while waiting")
    func deleted() async throws {
        try await withBus { _, bus in
            try await bus.ensureStream(queue)
            let consumer = try await bus.consumer(ConsumerSpecification(stream: "Q", name: "c"))
            async let fetch = result { () async throws(BusError) in try await consumer.fetch(1, wait: .seconds(50)) }
            try await bus.flush(timeout: .seconds(5))
            #expect(try await consumer.fetch(1, wait: .milliseconds(1)).isEmpty)
            try await bus.deleteStream("Q")
            let error = await fetch.failure
            #expect(error == BusError(.notFound, "") || error == BusError(.timeout, ""))
            await #expect(throws: BusError(.notFound, "")) { try await consumer.fetch(1, wait: .milliseconds(100)) }
        }
    }
}
