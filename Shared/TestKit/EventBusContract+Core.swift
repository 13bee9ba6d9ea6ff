internal import EventBus

extension EventBusContract {
    static let core: [Case] = [
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
        }
    ]
}
