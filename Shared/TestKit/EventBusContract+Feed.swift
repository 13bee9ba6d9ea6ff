public import EventBus
internal import Synchronization

extension EventBusContract {
    /// What every ``MessageFeed`` must do. A bus is its own feed; where they are two connections, a subscription is known to
    /// the server only after ``MessageFeed/flush(timeout:)``.
    public struct FeedCase: Sendable, CustomStringConvertible {
        /// A sentence: what is promised.
        public let description: String
        private let body: @Sendable (any MessageFeed, any EventBus) async throws -> Void

        init(_ description: String, _ body: @escaping @Sendable (any MessageFeed, any EventBus) async throws -> Void) {
            self.description = description
            self.body = body
        }

        /// - Parameters:
        ///   - feed: connected, and for this case alone.
        ///   - bus: publishes.
        /// - Throws: ``ContractViolation`` if a promise is broken, or the error of one of both.
        public func run(on feed: any MessageFeed, publishingBy bus: any EventBus) async throws {
            try await body(feed, bus)
        }

        /// The same of a bus that is its own feed.
        var ofBus: Case { Case(description) { try await body($0, $0) } }
    }

    public static let feed: [FeedCase] = [
        FeedCase("messages arrive in the order in which they were published") { feed, bus in
            let subject = unique()
            let inbox = Inbox<BusMessage>()
            try inbox.subscribe(to: subject, on: feed)
            try await feed.flush(timeout: patience)
            for number in 0..<1000 { try bus.publish(message(subject, "\(number)")) }
            let received = try await inbox.wait(for: 1000)
            try expectEqual(received.map(text), (0..<1000).map(String.init), "what was received")
        },
        FeedCase("a star takes one token, a closing > one or more, and nothing else") { feed, bus in
            let root = unique()
            let (one, rest, exact) = (Inbox<BusMessage>(), Inbox<BusMessage>(), Inbox<BusMessage>())
            try one.subscribe(to: "\(root).*.z", on: feed)
            try rest.subscribe(to: "\(root).a.>", on: feed)
            try exact.subscribe(to: "\(root).a", on: feed)
            try await feed.flush(timeout: patience)
            for name in ["a", "a.z", "a.b.z", "b.z", "ab.z", "a.z.y"] {
                try bus.publish(message("\(root).\(name)", name))
            }
            try bus.publish(message("\(root)x.a", "other"))
            try await bus.flush(timeout: patience)
            try await feed.flush(timeout: patience)
            try await one.wait(for: 3)
            try await rest.wait(for: 3)
            try await exact.wait(for: 1)
            try expectEqual(one.elements.map(text), ["a.z", "b.z", "ab.z"], "the star's messages")
            try expectEqual(rest.elements.map(text), ["a.z", "a.b.z", "a.z.y"], "the messages under a")
            try expectEqual(exact.elements.map(text), ["a"], "the messages on a")
        },
        FeedCase("each subscriber gets every message, each queue group gets it once") { feed, bus in
            let subject = unique()
            let (alone, first, second) = (Inbox<BusMessage>(), Inbox<BusMessage>(), Inbox<BusMessage>())
            try alone.subscribe(to: subject, on: feed)
            try first.subscribe(to: subject, on: feed, queue: "workers")
            try second.subscribe(to: subject, on: feed, queue: "workers")
            try await feed.flush(timeout: patience)
            for number in 0..<200 { try bus.publish(message(subject, "\(number)")) }
            try await alone.wait(for: 200)
            try await eventually("the group having all") { first.elements.count + second.elements.count >= 200 }
            let shared = first.elements.map(text) + second.elements.map(text)
            try expectEqual(Set(shared).count, 200, "the number of different messages in the group")
            try expectEqual(shared.count, 200, "the number of messages in the group")
            try expect(!first.elements.isEmpty && !second.elements.isEmpty, "one member of the group got everything")
        },
        FeedCase("payload and headers arrive as they were sent") { feed, bus in
            let subject = unique()
            let inbox = Inbox<BusMessage>()
            try inbox.subscribe(to: subject, on: feed)
            try await feed.flush(timeout: patience)
            let headers: BusHeaders = [
                "Apus-Event": "message", "ce-id": "a%20b", "X-Mixed-Case": "Grüße 🙂", "x": "a: b, c;d=\"e\"",
            ]
            let payload = (0...255).map { UInt8($0) } + [0, 0, 13, 10]
            try bus.publish(BusMessage(subject: subject, headers: headers, payload: payload))
            try bus.publish(BusMessage(subject: subject))
            let received = try await inbox.wait(for: 2)
            try expectEqual(received[0].payload, payload, "the payload")
            for (name, value) in headers {
                try expectEqual(received[0].headers[name], value, "the header \(name)")
            }
            try expectEqual(received[0].headers["x-mixed-case"], "Grüße 🙂", "the header by another case")
            try expectEqual(received[1].payload, [], "the empty payload")
            try expect(received[1].headers.isEmpty, "headers came from nowhere")
        },
        FeedCase("a cancelled subscription gets nothing more, and cancelling twice is harmless") { feed, bus in
            let subject = unique()
            let (ended, other) = (Inbox<BusMessage>(), Inbox<BusMessage>())
            let subscription = try ended.subscribe(to: subject, on: feed)
            try other.subscribe(to: subject, on: feed)
            try await feed.flush(timeout: patience)
            try bus.publish(message(subject, "1"))
            try await ended.wait(for: 1)
            subscription.cancel()
            subscription.cancel()
            try await feed.flush(timeout: patience)
            try bus.publish(message(subject, "2"))
            try await other.wait(for: 2)
            try expectEqual(ended.elements.map(text), ["1"], "what the cancelled subscription got")
        },
        FeedCase("a callback may publish, subscribe and cancel") { feed, bus in
            let subject = unique()
            let answers = Inbox<BusMessage>()
            try answers.subscribe(to: "\(subject).answer", on: feed)
            let inner = Mutex<(any BusSubscription)?>(nil)
            let subscription = try feed.subscribe(subject) { received in
                let new = try? feed.subscribe("\(subject).inner") { _ in }
                inner.withLock { $0 = new }
                try? bus.publish(message("\(subject).answer", text(received)))
                inner.withLock { $0 }?.cancel()
            }
            try await feed.flush(timeout: patience)
            try bus.publish(message(subject, "hello"))
            try expectEqual(try await answers.wait(for: 1).map(text), ["hello"], "the answer")
            subscription.cancel()
        },
        FeedCase("a sequence of messages is bounded and counts what it drops") { feed, bus in
            let subject = unique()
            let marker = Inbox<BusMessage>()
            let sequence = try feed.messages(on: subject, bufferLimit: 10)
            // Comes after the sequence's subscription, so that all was offered to the sequence when this has all.
            try marker.subscribe(to: subject, on: feed)
            try await feed.flush(timeout: patience)
            for number in 0..<25 { try bus.publish(message(subject, "\(number)")) }
            try await marker.wait(for: 25)
            try await eventually("counting the dropped messages") { sequence.dropped == 15 }
            var received: [String] = []
            for await next in sequence {
                received.append(text(next))
                if received.count == 10 { break }
            }
            try expectEqual(received, (0..<10).map(String.init), "what was kept")
        },
        FeedCase("a connection that is made anew has its subscriptions again, and says that it was away") { feed, bus in
            let subject = unique()
            let inbox = Inbox<BusMessage>()
            try inbox.subscribe(to: subject, on: feed)
            try await feed.flush(timeout: patience)
            try bus.publish(message(subject, "before"))
            try await inbox.wait(for: 1)
            let events = feed.connectionEvents()
            feed.reconnect()
            var seen: [BusConnectionEvent] = []
            for await event in events {
                seen.append(event)
                if event == .connected { break }
            }
            try expectEqual(seen, [.disconnected, .connected], "the events")
            try bus.publish(message(subject, "after"))
            let texts = try await inbox.wait(for: 2).map { String(decoding: $0.payload, as: UTF8.self) }
            try expectEqual(texts, ["before", "after"], "what came")
        },
    ]
}
