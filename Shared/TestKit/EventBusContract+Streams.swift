internal import EventBus
internal import Events

extension EventBusContract {
    /// A stream of the case's own, with everything under `<root>.`.
    private static func stream(
        on bus: any EventBus, _ change: (inout StreamSpecification) -> Void = { _ in }
    ) async throws -> (name: String, root: String) {
        let root = unique()
        var specification = StreamSpecification(name: "S_\(root)", subjects: ["\(root).>"])
        change(&specification)
        try await bus.ensureStream(specification)
        return (specification.name, root)
    }

    static let streams: [Case] = [
        Case("a stream is made once, whoever asks, and keeps its epoch") { bus in
            let root = unique()
            let specification = StreamSpecification(
                name: "S_\(root)", subjects: ["\(root).>"], maximumMessagesPerSubject: 5, maximumAge: .seconds(3600))
            let first = try await bus.ensureStream(specification)
            try expectEqual(first.messages, 0, "the number of messages")
            try expectEqual(first.firstSequence, first.lastSequence + 1, "the first sequence of an empty stream")
            try await bus.append(message("\(root).a", "1"))
            let second = try await bus.ensureStream(specification)
            try expectEqual(second.epoch, first.epoch, "the epoch")
            try expectEqual(second.messages, 1, "the number of messages")
            try expectEqual(try await bus.streamState(specification.name), second, "the state")
        },
        Case("a stream's limits can be changed; its retention cannot") { bus in
            let (name, root) = try await stream(on: bus)
            for number in 0..<5 { try await bus.append(message("\(root).a", "\(number)")) }
            try await bus.ensureStream(
                StreamSpecification(name: name, subjects: ["\(root).>"], maximumMessagesPerSubject: 2))
            try expectEqual(try await bus.streamState(name).messages, 2, "the number of messages under the new limit")
            try await expectError(.specificationMismatch, "changing the retention") {
                try await bus.ensureStream(
                    StreamSpecification(name: name, subjects: ["\(root).>"], retention: .workQueue))
            }
        },
        Case("a stream that was deleted is gone, and made again has another epoch") { bus in
            let (name, root) = try await stream(on: bus)
            let before = try await bus.streamState(name)
            try await bus.deleteStream(name)
            try await expectError(.notFound, "the state of a deleted stream") { _ = try await bus.streamState(name) }
            try await bus.deleteStream(name)
            let after = try await bus.ensureStream(StreamSpecification(name: name, subjects: ["\(root).>"]))
            try expect(before.epoch != after.epoch, "both lives have epoch \(after.epoch)")
        },
        Case("messages that are sent at once are all stored, or it says why one is not, which holds up none") { bus in
            let (name, root) = try await stream(on: bus)
            func append(_ messages: [BusMessage]) async throws(BusError) {
                try await bus.append { add in
                    for message in messages { add(message) }
                }
            }
            try await append((1...500).map { message("\(root).a", "\($0)") })
            let stored = try await bus.messages(in: name, subject: nil, after: 0, limit: 1000)
            try expectEqual(stored.map { text($0.message) }, (1...500).map { "\($0)" }, "what is stored, in its order")
            let twice = message("\(root).b", "once", headers: ["Nats-Msg-Id": "x"])
            try await append([twice, message("\(root).a", "between"), twice])
            try await append([twice])
            try await expectError(.noResponders, "sending to nobody") {
                try await append([
                    message("\(root).a", "before"), message("nobody.\(root)", ""), message("\(root).a", "behind"),
                ])
            }
            let last = try await bus.messages(in: name, subject: nil, after: 500, limit: 10)
            try expectEqual(last.map { text($0.message) }, ["once", "between", "before", "behind"], "what came then")
            try await append([])
        },
        Case("what was appended is numbered and can be read, all or by subject") { bus in
            let (name, root) = try await stream(on: bus)
            var sequences: [UInt64] = []
            for (index, subject) in ["a.x", "b.x", "a.y", "a.x"].enumerated() {
                let receipt = try await bus.append(
                    message("\(root).\(subject)", "\(index)", headers: ["N": "\(index)"]))
                try expectEqual(receipt.stream, name, "the stream")
                try expect(!receipt.isDuplicate, "a first message is called a duplicate")
                sequences.append(receipt.sequence)
            }
            try expectEqual(sequences, [1, 2, 3, 4], "the sequences")
            func read(_ subject: String?, after: UInt64 = 0, limit: Int = 100) async throws -> [String] {
                try await bus.messages(in: name, subject: subject, after: after, limit: limit).map { text($0.message) }
            }
            try expectEqual(try await read(nil), ["0", "1", "2", "3"], "all messages")
            try expectEqual(try await read("\(root).a.x"), ["0", "3"], "the messages of one subject")
            try expectEqual(try await read("\(root).a.*"), ["0", "2", "3"], "the messages under a wildcard")
            try expectEqual(try await read("\(root).a.>", after: 1), ["2", "3"], "those after the first")
            try expectEqual(try await read(nil, limit: 2), ["0", "1"], "the first two")
            try expectEqual(try await read("\(root).none"), [], "the messages of a subject without any")
            try expectEqual(try await read(nil, after: 4), [], "those after the last")
            let last = try await bus.lastMessage(in: name, subject: "\(root).a.x")
            try expectEqual(last?.sequence, 4, "the last message's sequence")
            try expectEqual(last?.message.headers["n"], "3", "the last message's header")
            try expectEqual(last?.message.subject, "\(root).a.x", "the last message's subject")
            try expectEqual(
                try await bus.lastMessage(in: name, subject: "\(root).none"), nil, "the last of a subject without any")
        },
        Case("reading many messages gives all of them in order") { bus in
            let (name, root) = try await stream(on: bus)
            for number in 0..<600 { try await bus.append(message("\(root).a", "\(number)")) }
            let all = try await bus.messages(in: name, subject: "\(root).a", after: 0, limit: 1000)
            try expectEqual(all.map { text($0.message) }, (0..<600).map(String.init), "what was read")
        },
        Case("appending where no stream takes the subject fails") { bus in
            try await expectError(.noResponders, "appending nowhere") {
                try await bus.append(message(unique(), "x"))
            }
        },
        Case("reading a stream that is not there fails") { bus in
            let name = unique("S")
            try await expectError(.notFound, "reading") {
                _ = try await bus.messages(in: name, subject: nil, after: 0, limit: 1)
            }
            try await expectError(.notFound, "the last message") {
                _ = try await bus.lastMessage(in: name, subject: "a")
            }
            try await expectError(.notFound, "a consumer") {
                _ = try await bus.consumer(ConsumerSpecification(stream: name, name: "c"))
            }
        },
        Case("a message id is stored once within the duplicate window") { bus in
            let (name, root) = try await stream(on: bus)
            let first = try await bus.append(message("\(root).a", "1", headers: [HeaderName.messageID: "id"]))
            let second = try await bus.append(message("\(root).a", "2", headers: [HeaderName.messageID: "id"]))
            try expect(second.isDuplicate, "the second is no duplicate")
            try expectEqual(second.sequence, first.sequence, "the duplicate's sequence")
            let third = try await bus.append(message("\(root).a", "3", headers: [HeaderName.messageID: "other"]))
            try expect(!third.isDuplicate, "another id is a duplicate")
            try expectEqual(try await bus.streamState(name).messages, 2, "the number of messages")
        },
        Case("an expected sequence lets one of two writers win") { bus in
            let (_, root) = try await stream(on: bus)
            let subject = "\(root).a"
            let first = try await bus.append(message(subject, "1"), expecting: .onSubject(0))
            try await expectError(.conflict, "creating twice") {
                try await bus.append(message(subject, "2"), expecting: .onSubject(0))
            }
            // Another subject's messages do not count.
            try await bus.append(message("\(root).b", "1"))
            let second = try await bus.append(message(subject, "2"), expecting: .onSubject(first.sequence))
            try await expectError(.conflict, "writing after a sequence that is no longer the last") {
                try await bus.append(message(subject, "3"), expecting: .onSubject(first.sequence))
            }
            try expect(second.sequence > first.sequence, "sequences do not grow")
        },
        Case("a limit per subject drops that subject's oldest messages") { bus in
            let (name, root) = try await stream(on: bus) { $0.maximumMessagesPerSubject = 2 }
            for number in 0..<4 { try await bus.append(message("\(root).a", "\(number)")) }
            try await bus.append(message("\(root).b", "b"))
            let kept = try await bus.messages(in: name, subject: nil, after: 0, limit: 10)
            try expectEqual(kept.map { text($0.message) }, ["2", "3", "b"], "what was kept")
            try expectEqual(try await bus.streamState(name).firstSequence, 3, "the first sequence")
        },
        Case("messages can be deleted and purged, and the newest spared") { bus in
            let (name, root) = try await stream(on: bus)
            for number in 1...4 { try await bus.append(message("\(root).a", "\(number)")) }
            for number in 5...6 { try await bus.append(message("\(root).b", "\(number)")) }
            func kept() async throws -> [UInt64] {
                try await bus.messages(in: name, subject: nil, after: 0, limit: 10).map(\.sequence)
            }
            try await bus.deleteMessage(in: name, sequence: 2)
            try await bus.deleteMessage(in: name, sequence: 2)
            try expectEqual(try await kept(), [1, 3, 4, 5, 6], "what is left after deleting one")
            try await bus.purge(stream: name, subject: "\(root).a", keep: 1)
            try expectEqual(try await kept(), [4, 5, 6], "what is left after purging a but its newest")
            try await bus.purge(stream: name, subject: "\(root).b", keep: 0)
            try expectEqual(try await kept(), [4], "what is left after purging b")
            try await bus.purge(stream: name, subject: nil, keep: 0)
            let state = try await bus.streamState(name)
            try expectEqual(state.messages, 0, "the number of messages after purging all")
            try expectEqual(state.lastSequence, 6, "the last sequence after purging all")
            try expectEqual(state.firstSequence, 7, "the first sequence after purging all")
        },
        Case("a stream that refuses new messages says that it is full") { bus in
            let (name, root) = try await stream(on: bus) {
                $0.overflow = .refuseNewest
                $0.maximumMessages = 2
            }
            try await bus.append(message("\(root).a", "1"))
            try await bus.append(message("\(root).a", "2"))
            try await expectError(.streamFull, "appending to a full stream") {
                try await bus.append(message("\(root).a", "3"))
            }
            try await bus.deleteMessage(in: name, sequence: 1)
            try await bus.append(message("\(root).a", "3"))
        },
        Case("a stream forgets what is too old") { bus in
            let (name, root) = try await stream(on: bus) {
                $0.maximumAge = .milliseconds(500)
                $0.duplicateWindow = .milliseconds(200)
            }
            try await bus.append(message("\(root).a", "1"))
            try await eventually("the message being gone") { try await bus.streamState(name).messages == 0 }
        },
        Case("a stored message is republished with its sequence and the one before it") { bus in
            let (source, live) = (unique("from"), unique("to"))
            let inbox = Inbox<BusMessage>()
            try inbox.subscribe(to: "\(live).>", on: bus)
            try await bus.ensureStream(
                StreamSpecification(
                    name: "S_\(source)", subjects: ["\(source).room.>"],
                    republish: .init(source: "\(source).>", destination: "\(live).>")))
            try await bus.append(message("\(source).room.a", "1", headers: ["Apus-Event": "chat"]))
            try await bus.append(message("\(source).room.b", "2"))
            try await bus.append(message("\(source).room.a", "3"))
            let received = try await inbox.wait(for: 3)
            try expectEqual(
                received.map(\.subject), ["\(live).room.a", "\(live).room.b", "\(live).room.a"], "the subjects")
            try expectEqual(received.map(text), ["1", "2", "3"], "the payloads")
            try expectEqual(received.map { $0.headers[HeaderName.sequence] }, ["1", "2", "3"], "the sequences")
            try expectEqual(
                received.map { $0.headers[HeaderName.lastSequence] }, ["0", "0", "1"], "the sequences before")
            try expectEqual(received[0].headers[HeaderName.stream], "S_\(source)", "the stream")
            try expectEqual(received[0].headers["Nats-Subject"], "\(source).room.a", "the stored subject")
            try expectEqual(received[0].headers["Apus-Event"], "chat", "the message's own header")
        },
        Case("a message that is only published is stored too, and those who listen get what is appended") { bus in
            let (name, root) = try await stream(on: bus)
            let inbox = Inbox<BusMessage>()
            try inbox.subscribe(to: "\(root).a", on: bus)
            try bus.publish(message("\(root).a", "1"))
            try await bus.flush(timeout: patience)
            try await eventually("the message being stored") { try await bus.streamState(name).messages == 1 }
            try await bus.append(message("\(root).a", "2"))
            try expectEqual(try await inbox.wait(for: 2).map(text), ["1", "2"], "what the subscriber got")
        },
        Case("two streams cannot take the same subject") { bus in
            let (_, root) = try await stream(on: bus)
            try await expectError(.invalidArgument, "a second stream on the same subjects") {
                try await bus.ensureStream(StreamSpecification(name: unique("S"), subjects: ["\(root).a"]))
            }
        },
        Case("names that are not allowed are refused") { bus in
            for name in ["", "a.b", "a b", "a*", "a>", "ä"] {
                try await expectError(.invalidArgument, "a stream named \(name.debugDescription)") {
                    try await bus.ensureStream(StreamSpecification(name: name, subjects: [unique()]))
                }
            }
        },
    ]
}
