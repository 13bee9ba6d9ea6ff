internal import EventBus
internal import Synchronization

extension EventBusContract {
    static let core: [Case] = [
        Case("messages arrive in the order in which they were published") { bus in
            let subject = unique()
            let inbox = Inbox<BusMessage>()
            try inbox.subscribe(to: subject, on: bus)
            for number in 0..<1000 { try bus.publish(message(subject, "\(number)")) }
            let received = try await inbox.wait(for: 1000)
            try expectEqual(received.map(text), (0..<1000).map(String.init), "what was received")
        },
        Case("a star takes one token, a closing > one or more, and nothing else") { bus in
            let root = unique()
            let (one, rest, exact) = (Inbox<BusMessage>(), Inbox<BusMessage>(), Inbox<BusMessage>())
            try one.subscribe(to: "\(root).*.z", on: bus)
            try rest.subscribe(to: "\(root).a.>", on: bus)
            try exact.subscribe(to: "\(root).a", on: bus)
            for name in ["a", "a.z", "a.b.z", "b.z", "ab.z", "a.z.y"] {
                try bus.publish(message("\(root).\(name)", name))
            }
            try bus.publish(message("\(root)x.a", "other"))
            try await bus.flush(timeout: patience)
            try await one.wait(for: 3)
            try await rest.wait(for: 3)
            try await exact.wait(for: 1)
            try expectEqual(one.elements.map(text), ["a.z", "b.z", "ab.z"], "the star's messages")
            try expectEqual(rest.elements.map(text), ["a.z", "a.b.z", "a.z.y"], "the messages under a")
            try expectEqual(exact.elements.map(text), ["a"], "the messages on a")
        },
        Case("each subscriber gets every message, each queue group gets it once") { bus in
            let subject = unique()
            let (alone, first, second) = (Inbox<BusMessage>(), Inbox<BusMessage>(), Inbox<BusMessage>())
            try alone.subscribe(to: subject, on: bus)
            try first.subscribe(to: subject, on: bus, queue: "workers")
            try second.subscribe(to: subject, on: bus, queue: "workers")
            for number in 0..<200 { try bus.publish(message(subject, "\(number)")) }
            try await alone.wait(for: 200)
            try await eventually("the group having all") { first.elements.count + second.elements.count >= 200 }
            let shared = first.elements.map(text) + second.elements.map(text)
            try expectEqual(Set(shared).count, 200, "the number of different messages in the group")
            try expectEqual(shared.count, 200, "the number of messages in the group")
            try expect(!first.elements.isEmpty && !second.elements.isEmpty, "one member of the group got everything")
        },
        Case("payload and headers arrive as they were sent") { bus in
            let subject = unique()
            let inbox = Inbox<BusMessage>()
            try inbox.subscribe(to: subject, on: bus)
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
        Case("a cancelled subscription gets nothing more, and cancelling twice is harmless") { bus in
            let subject = unique()
            let (ended, other) = (Inbox<BusMessage>(), Inbox<BusMessage>())
            let subscription = try ended.subscribe(to: subject, on: bus)
            try other.subscribe(to: subject, on: bus)
            try bus.publish(message(subject, "1"))
            try await ended.wait(for: 1)
            subscription.cancel()
            subscription.cancel()
            try await bus.flush(timeout: patience)
            try bus.publish(message(subject, "2"))
            try await other.wait(for: 2)
            try expectEqual(ended.elements.map(text), ["1"], "what the cancelled subscription got")
        },
        Case("a callback may publish, subscribe and cancel") { bus in
            let subject = unique()
            let answers = Inbox<BusMessage>()
            try answers.subscribe(to: "\(subject).answer", on: bus)
            let inner = Mutex<(any BusSubscription)?>(nil)
            let subscription = try bus.subscribe(subject) { received in
                let new = try? bus.subscribe("\(subject).inner") { _ in }
                inner.withLock { $0 = new }
                try? bus.publish(message("\(subject).answer", text(received)))
                inner.withLock { $0 }?.cancel()
            }
            try bus.publish(message(subject, "hello"))
            try expectEqual(try await answers.wait(for: 1).map(text), ["hello"], "the answer")
            subscription.cancel()
        },
        Case("subjects with wildcards, empty tokens or spaces are refused for publishing") { bus in
            for subject in ["", ".", "a.", ".a", "a..b", "a.*", "a.>", ">", "a b", "a\tb", "a\r\nPUB x 0\r\n"] {
                try await expectError(.invalidArgument, "publishing on \(subject.debugDescription)") {
                    try bus.publish(message(subject, "x"))
                }
                try await expectError(.invalidArgument, "asking on \(subject.debugDescription)") {
                    _ = try await bus.request(message(subject, "x"), timeout: .seconds(1))
                }
                try await expectError(.invalidArgument, "appending on \(subject.debugDescription)") {
                    try await bus.append(message(subject, "x"))
                }
            }
            for subject in ["", "a..b", "a.>.b", "a b"] {
                try await expectError(.invalidArgument, "subscribing to \(subject.debugDescription)") {
                    _ = try bus.subscribe(subject) { _ in }
                }
            }
        },
        Case("a header that would begin another line is refused") { bus in
            for headers: BusHeaders in [["A": "b\r\nNats-Msg-Id: 1"], ["A": "b\nc"], ["A\r\nB": "c"], ["": "c"]] {
                try await expectError(.invalidArgument, "publishing with a header of two lines") {
                    try bus.publish(message(unique(), "x", headers: headers))
                }
            }
        },
        Case("a message that is too large is refused, and the connection goes on") { bus in
            let subject = unique()
            let inbox = Inbox<BusMessage>()
            try inbox.subscribe(to: subject, on: bus)
            let large = BusMessage(subject: subject, payload: Array(repeating: 0, count: 1_048_577))
            try await expectError(.payloadTooLarge, "publishing more than a mebibyte") { try bus.publish(large) }
            try bus.publish(BusMessage(subject: subject, payload: Array(repeating: 1, count: 1_000_000)))
            try expectEqual(try await inbox.wait(for: 1).first?.payload.count, 1_000_000, "the size that arrives")
        },
        Case("a sequence of messages is bounded and counts what it drops") { bus in
            let subject = unique()
            let marker = Inbox<BusMessage>()
            let sequence = try bus.messages(on: subject, bufferLimit: 10)
            // Comes after the sequence's subscription, so that all was offered to the sequence when this has all.
            try marker.subscribe(to: subject, on: bus)
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
    ]

    static let calls: [Case] = [
        Case("a request gets its answer, with its headers") { bus in
            let subject = unique()
            let subscription = try bus.subscribe(subject, queue: "q") { request in
                guard let replyTo = request.replyTo else { return }
                try? bus.publish(
                    BusMessage(
                        subject: replyTo, headers: ["Answer": request.headers["Question"] ?? "none"],
                        payload: Array(request.payload.reversed())))
            }
            var request = message(subject, "abc")
            request.headers["Question"] = "why"
            let answer = try await bus.request(request, timeout: patience)
            try expectEqual(text(answer), "cba", "the answer")
            try expectEqual(answer.headers["answer"], "why", "the answer's header")
            subscription.cancel()
        },
        Case("many requests at once get each its own answer") { bus in
            let subject = unique()
            let subscription = try bus.subscribe(subject) { request in
                guard let replyTo = request.replyTo else { return }
                try? bus.publish(BusMessage(subject: replyTo, payload: request.payload))
            }
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<200 {
                    group.addTask {
                        text(try await bus.request(message(subject, "\(number)"), timeout: patience)) == "\(number)"
                    }
                }
                for try await isOwn in group { try expect(isOwn, "a request got another one's answer") }
            }
            subscription.cancel()
        },
        Case("a request that nobody listens to fails at once") { bus in
            let start = ContinuousClock.now
            try await expectError(.noResponders, "asking nobody") {
                _ = try await bus.request(message(unique(), "x"), timeout: .seconds(60))
            }
            try expect(ContinuousClock.now - start < patience, "it took as long as a timeout")
        },
        Case("a request that is not answered times out") { bus in
            let subject = unique()
            let subscription = try bus.subscribe(subject) { _ in }
            try await expectError(.timeout, "asking somebody silent") {
                _ = try await bus.request(message(subject, "x"), timeout: .milliseconds(200))
            }
            subscription.cancel()
        },
        Case("a cancelled request ends soon") { bus in
            let subject = unique()
            let inbox = Inbox<BusMessage>()
            try inbox.subscribe(to: subject, on: bus)
            let request = Task { try await bus.request(message(subject, "x"), timeout: .seconds(600)) }
            try await inbox.wait(for: 1)
            request.cancel()
            let result = await request.result
            try expect((try? result.get()) == nil, "a cancelled request had an answer")
        },
    ]

    static let connection: [Case] = [
        Case("a connection that is made anew has its subscriptions again, and says that it was away") { bus in
            let subject = unique()
            let inbox = Inbox<BusMessage>()
            try inbox.subscribe(to: subject, on: bus)
            try bus.publish(message(subject, "before"))
            try await inbox.wait(for: 1)
            let events = bus.connectionEvents()
            bus.reconnect()
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
        Case("a closed bus takes nothing more and says so") { bus in
            try expect(bus.isConnected, "the bus is not connected")
            let subject = unique()
            let inbox = Inbox<BusMessage>()
            let events = bus.connectionEvents()
            try inbox.subscribe(to: subject, on: bus)
            for number in 0..<100 { try bus.publish(message(subject, "\(number)")) }
            await bus.close(timeout: patience)
            try expect(!bus.isConnected, "a closed bus is connected")
            try expectEqual(inbox.elements.count, 100, "the number of messages delivered before the end")
            try await expectError(.closed, "publishing") { try bus.publish(message(subject, "x")) }
            try await expectError(.closed, "asking") {
                _ = try await bus.request(message(subject, "x"), timeout: .seconds(1))
            }
            try await expectError(.closed, "appending") { try await bus.append(message(subject, "x")) }
            try await expectError(.closed, "subscribing") { _ = try bus.subscribe(subject) { _ in } }
            var last: BusConnectionEvent?
            for await event in events { last = event }
            try expectEqual(last, .closed, "the last event")
            await bus.close(timeout: patience)
        },
    ]
}
