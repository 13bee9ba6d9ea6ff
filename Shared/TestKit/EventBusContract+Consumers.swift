internal import EventBus
internal import Events
internal import JSON

extension EventBusContract {
    /// A work queue of the case's own with some messages, and a consumer of it.
    private static func queue(
        on bus: any EventBus, messages: Int, _ change: (inout ConsumerSpecification) -> Void = { _ in }
    ) async throws -> (stream: String, root: String, consumer: any BusConsumer) {
        let root = unique()
        let stream = "Q_\(root)"
        try await bus.ensureStream(
            StreamSpecification(name: stream, subjects: ["\(root).>"], retention: .workQueue))
        for number in 0..<messages { try await bus.append(message("\(root).a", "\(number)")) }
        var specification = ConsumerSpecification(stream: stream, name: "worker")
        change(&specification)
        return (stream, root, try await bus.consumer(specification))
    }

    /// Fetches until `count` messages have come.
    private static func fetch(_ count: Int, from consumer: any BusConsumer) async throws -> [Delivery] {
        var deliveries: [Delivery] = []
        let deadline = ContinuousClock.now + patience
        while deliveries.count < count, ContinuousClock.now < deadline {
            deliveries += try await consumer.fetch(count - deliveries.count, wait: .seconds(1))
        }
        try expectEqual(deliveries.count, count, "the number of deliveries")
        return deliveries
    }

    /// Returns when a fetch from the stream's consumer waits for messages.
    private static func untilFetching(_ stream: String, on bus: any EventBus) async throws {
        try await eventually("a fetch that waits") {
            let below = (bus as? FaultyBus)?.bus ?? bus
            if let memory = below as? MemoryBus { return memory.waitingFetches(stream: stream, consumer: "worker") > 0 }
            let information = try await bus.request(
                BusMessage(subject: "$JS.API.CONSUMER.INFO.\(stream).worker"), timeout: patience)
            return (try JSONValue(parsing: information.payload)["num_waiting"]?.integerValue ?? 0) > 0
        }
    }

    static let consumers: [Case] = [
        Case("a consumer gets each message in order, and a work queue forgets it once acknowledged") { bus in
            let (stream, root, consumer) = try await queue(on: bus, messages: 3)
            let deliveries = try await fetch(3, from: consumer)
            try expectEqual(deliveries.map { text($0.message) }, ["0", "1", "2"], "what was delivered")
            try expectEqual(deliveries.map(\.sequence), [1, 2, 3], "the sequences")
            try expectEqual(deliveries.map(\.attempt), [1, 1, 1], "the attempts")
            try expectEqual(deliveries[2].pending, 0, "the number pending after the last")
            try expectEqual(deliveries[0].message.subject, "\(root).a", "the subject")
            try expect(deliveries[0].storedAt.seconds > 1_600_000_000, "the time is \(deliveries[0].storedAt)")
            for delivery in deliveries { try await delivery.acknowledge() }
            try await eventually("the queue being empty") { try await bus.streamState(stream).messages == 0 }
        },
        Case("what is acknowledged without waiting for an answer does not come again either") { bus in
            let (stream, _, consumer) = try await queue(on: bus, messages: 3)
            for delivery in try await fetch(3, from: consumer) { try await delivery.acknowledgeUnconfirmed() }
            try await eventually("the queue being empty") { try await bus.streamState(stream).messages == 0 }
            try expectEqual(try await bus.consumerState("worker", of: stream).unacknowledged, 0, "what is not answered")
        },
        Case("a consumer's state tells what it has not delivered and what is not answered") { bus in
            let (stream, root, consumer) = try await queue(on: bus, messages: 3)
            try expectEqual(
                try await bus.consumerState("worker", of: stream),
                ConsumerState(pending: 3, unacknowledged: 0, lastDelivered: 0, acknowledged: 0),
                "the state before the first delivery")
            let deliveries = try await fetch(2, from: consumer)
            try expectEqual(
                try await bus.consumerState("worker", of: stream),
                ConsumerState(pending: 1, unacknowledged: 2, lastDelivered: 2, acknowledged: 0), "the state after two")
            try await deliveries[0].acknowledge()
            try await deliveries[1].retry(after: .seconds(60))
            try await eventually("the acknowledgement being seen") {
                try await bus.consumerState("worker", of: stream)
                    == ConsumerState(pending: 1, unacknowledged: 1, lastDelivered: 2, acknowledged: 1)
            }
            try await bus.append(message("\(root).b.c", "3"))
            try await eventually("the removal of the first message") {
                try await bus.subjectCounts(in: stream, matching: "\(root).>") == ["\(root).a": 2, "\(root).b.c": 1]
            }
            try expectEqual(
                try await bus.subjectCounts(in: stream, matching: "\(root).b.>"), ["\(root).b.c": 1], "one's count")
            try expectEqual(try await bus.subjectCounts(in: stream, matching: "no.one"), [:], "nobody's count")
            try await expectError(.notFound, "a consumer that is not there") {
                _ = try await bus.consumerState("other", of: stream)
            }
            try await expectError(.notFound, "a stream that is not there") {
                _ = try await bus.subjectCounts(in: "NO_\(root)", matching: ">")
            }
        },
        Case("a consumer that is to forget what is gone goes on with what is there") { bus in
            let (stream, _, consumer) = try await queue(on: bus, messages: 5) {
                $0.acknowledgementWait = .milliseconds(500)
            }
            _ = try await fetch(4, from: consumer)
            try await bus.deleteMessage(in: stream, sequence: 2)
            try await bus.forgetRemoved(by: "worker", of: stream)
            try await eventually("three messages being out") {
                try await bus.consumerState("worker", of: stream).unacknowledged == 3
            }
            let deliveries = try await fetch(4, from: consumer)
            try expectEqual(deliveries.map(\.sequence).sorted(), [1, 3, 4, 5], "what is delivered, again or at last")
            for delivery in deliveries { try await delivery.acknowledge() }
            try await eventually("the queue being empty") { try await bus.streamState(stream).messages == 0 }
            try await bus.forgetRemoved(by: "worker", of: stream)
            try await expectError(.notFound, "a consumer that is not there") {
                try await bus.forgetRemoved(by: "other", of: stream)
            }
        },
        Case("headers and payload are delivered as they were appended") { bus in
            let (_, root, consumer) = try await queue(on: bus, messages: 0)
            let payload = (0...255).map { UInt8($0) }
            try await bus.append(BusMessage(subject: "\(root).b", headers: ["traceparent": "00-1"], payload: payload))
            let delivery = try await fetch(1, from: consumer)[0]
            try expectEqual(delivery.message.headers["Traceparent"], "00-1", "the header")
            try expectEqual(delivery.message.payload, payload, "the payload")
        },
        Case("a message that is not acknowledged comes again, counted") { bus in
            let (_, _, consumer) = try await queue(on: bus, messages: 1) { $0.acknowledgementWait = .milliseconds(500) }
            let first = try await fetch(1, from: consumer)[0]
            let second = try await fetch(1, from: consumer)[0]
            try expectEqual([first.attempt, second.attempt], [1, 2], "the attempts")
            try expectEqual(second.sequence, first.sequence, "the sequence")
            try await second.acknowledge()
        },
        Case("a message asked for again comes after the delay and no sooner") { bus in
            let (_, _, consumer) = try await queue(on: bus, messages: 1)
            let start = ContinuousClock.now
            try await fetch(1, from: consumer)[0].retry(after: .milliseconds(600))
            let again = try await fetch(1, from: consumer)[0]
            try expectEqual(again.attempt, 2, "the attempt")
            try expect(ContinuousClock.now - start >= .milliseconds(550), "it came too soon")
            try await again.retry()
            let third = try await fetch(1, from: consumer)[0]
            try expectEqual(third.attempt, 3, "the attempt after a retry at once")
            try await third.acknowledge()
        },
        Case("a message that is extended stays with who holds it") { bus in
            let (_, _, consumer) = try await queue(on: bus, messages: 1) { $0.acknowledgementWait = .seconds(1) }
            let held = try await fetch(1, from: consumer)[0]
            let start = ContinuousClock.now
            var extended = start
            while ContinuousClock.now - start < .milliseconds(2500) {
                let again = ContinuousClock.now
                try await held.extend()
                // On a machine so busy that we came too late to extend it, somebody else may have it from now on.
                guard ContinuousClock.now - extended < .seconds(1) else { return }
                extended = again
                let others = try await consumer.fetch(1, wait: .milliseconds(200))
                try expect(others.isEmpty, "it was given to somebody else")
            }
            try await held.acknowledge()
        },
        Case("a terminated message never comes again") { bus in
            let (stream, _, consumer) = try await queue(on: bus, messages: 1) {
                $0.acknowledgementWait = .milliseconds(300)
            }
            try await fetch(1, from: consumer)[0].terminate()
            try expect(try await consumer.fetch(1, wait: .milliseconds(900)).isEmpty, "it came again")
            try await eventually("the queue being empty") { try await bus.streamState(stream).messages == 0 }
        },
        Case("a message is delivered at most so often and then stays in the stream") { bus in
            let (stream, _, consumer) = try await queue(on: bus, messages: 1) {
                $0.acknowledgementWait = .milliseconds(300)
                $0.maximumDeliveries = 2
            }
            _ = try await fetch(1, from: consumer)
            let second = try await fetch(1, from: consumer)[0]
            try expectEqual(second.attempt, 2, "the attempt")
            try expect(try await consumer.fetch(1, wait: .milliseconds(900)).isEmpty, "it came a third time")
            try expectEqual(try await bus.streamState(stream).messages, 1, "the number of messages in the stream")
        },
        Case("no more than so many messages are out at once") { bus in
            let (_, _, consumer) = try await queue(on: bus, messages: 5) { $0.maximumUnacknowledged = 2 }
            let first = try await fetch(2, from: consumer)
            try expect(try await consumer.fetch(5, wait: .milliseconds(300)).isEmpty, "a third one came")
            try await first[0].acknowledge()
            let next = try await fetch(1, from: consumer)
            try expectEqual(text(next[0].message), "2", "the next message")
        },
        Case("several who fetch share the messages, each going to one of them") { bus in
            let (_, _, consumer) = try await queue(on: bus, messages: 100)
            let all = try await withThrowingTaskGroup(of: [String].self) { group in
                for _ in 0..<4 {
                    group.addTask {
                        var own: [String] = []
                        while true {
                            let batch = try await consumer.fetch(7, wait: .milliseconds(700))
                            if batch.isEmpty { return own }
                            for delivery in batch {
                                own.append(text(delivery.message))
                                try await delivery.acknowledge()
                            }
                        }
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            try expectEqual(all.count, 100, "the number of deliveries")
            try expectEqual(Set(all).count, 100, "the number of different messages")
        },
        Case("a waiting fetch gets a message as it comes, and nothing when none does") { bus in
            let (_, root, consumer) = try await queue(on: bus, messages: 0)
            try expect(try await consumer.fetch(10, wait: .milliseconds(200)).isEmpty, "something came from nowhere")
            let waiting = Task { try await consumer.fetch(10, wait: patience) }
            try await bus.append(message("\(root).a", "1"))
            let start = ContinuousClock.now
            let deliveries = try await waiting.value
            try expectEqual(deliveries.map { text($0.message) }, ["1"], "what came")
            try expect(ContinuousClock.now - start < patience / 2, "it waited for more than the first message")
            try await deliveries[0].acknowledge()
        },
        Case("a cancelled fetch ends soon and loses nothing") { bus in
            let (stream, root, consumer) = try await queue(on: bus, messages: 0) {
                $0.acknowledgementWait = .seconds(1)
            }
            let waiting = Task { try await consumer.fetch(1, wait: .seconds(600)) }
            try await untilFetching(stream, on: bus)
            waiting.cancel()
            _ = await waiting.result
            try await bus.append(message("\(root).a", "1"))
            let delivery = try await fetch(1, from: consumer)[0]
            try expectEqual(text(delivery.message), "1", "what came")
            try await delivery.acknowledge()
        },
        Case("a filter lets through its subjects only") { bus in
            let (_, root, consumer) = try await queue(on: bus, messages: 2) {
                $0.filter = "\($0.stream.dropFirst(2)).b.>"
            }
            try await bus.append(message("\(root).b.c", "wanted"))
            let deliveries = try await fetch(1, from: consumer)
            try expectEqual(deliveries.map { text($0.message) }, ["wanted"], "what came")
            try expect(try await consumer.fetch(1, wait: .milliseconds(200)).isEmpty, "something else came")
        },
        Case("a consumer is durable: whoever asks for it again goes on where it was") { bus in
            let (stream, _, consumer) = try await queue(on: bus, messages: 3)
            try await fetch(1, from: consumer)[0].acknowledge()
            let again = try await bus.consumer(ConsumerSpecification(stream: stream, name: "worker"))
            try expectEqual(try await fetch(2, from: again).map { text($0.message) }, ["1", "2"], "what came")
        },
        Case("two consumers of a stream with limits each get everything") { bus in
            let root = unique()
            let stream = "S_\(root)"
            try await bus.ensureStream(StreamSpecification(name: stream, subjects: ["\(root).>"]))
            for number in 0..<3 { try await bus.append(message("\(root).a", "\(number)")) }
            for name in ["one", "two"] {
                let consumer = try await bus.consumer(ConsumerSpecification(stream: stream, name: name))
                let deliveries = try await fetch(3, from: consumer)
                try expectEqual(deliveries.map { text($0.message) }, ["0", "1", "2"], "what \(name) got")
                for delivery in deliveries { try await delivery.acknowledge() }
            }
            try expectEqual(try await bus.streamState(stream).messages, 3, "the number of messages")
        },
    ]
}
