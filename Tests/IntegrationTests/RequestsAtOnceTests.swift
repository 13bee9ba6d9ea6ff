import Synchronization
import TestKit
import Testing

@testable import NATSClient

@Suite(
    "Requests whose answers are not told apart", .enabled(if: NATSServerProcess.canRun), .timeLimit(.minutes(2)))
struct RequestsAtOnceTests {
    private func request(
        _ messages: [NATSMessage], by connection: NATSConnection, timeout: Duration = .seconds(10)
    ) async throws(NATSError) -> [[UInt8]] {
        try await connection.requestAtOnce(timeout: timeout, { .success($0.payload) }) { add in
            for message in messages { add(message) }
        }
    }

    /// Answers what is asked on `echo`, once and at once.
    private func echo(by connection: NATSConnection) async throws {
        try connection.subscribe("echo") { [weak connection] message in
            guard let replyTo = message.replyTo else { return }
            try? connection?.publish(NATSMessage(subject: replyTo, payload: message.payload))
        }
        try await connection.flush(timeout: .seconds(5))
    }

    private func questions(_ count: Int) -> [NATSMessage] {
        (0..<count).map { NATSMessage(subject: "echo", payload: Array("\($0)".utf8)) }
    }

    /// How many requests wait, or are thought to.
    private func waiting(_ connection: NATSConnection) -> Int? {
        connection.requester?.connection.state.withLock { $0.requests.count }
    }

    @Test("many requests get all of their answers, several times over")
    func all() async throws {
        try await withOwnRequests { _, connection in
            try await echo(by: connection)
            try await withThrowingTaskGroup { group in
                for _ in 0..<5 {
                    group.addTask {
                        let answers = try await request(questions(2000), by: connection)
                        #expect(Set(answers) == Set(questions(2000).map(\.payload)))
                        #expect(answers.count == 2000)
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await request([], by: connection).isEmpty)
            #expect(waiting(connection) == 0)
        }
    }

    @Test("one that goes wrong is what is thrown, the others are sent all the same, and nothing waits for ever")
    func errors() async throws {
        try await withOwnRequests { _, connection in
            let heard = Inbox<[UInt8]>()
            try connection.subscribe("echo") { [weak connection] message in
                heard.append(message.payload)
                try? connection?.publish(NATSMessage(subject: message.replyTo ?? "", payload: message.payload))
            }
            try connection.subscribe("silence") { _ in }
            try await connection.flush(timeout: .seconds(5))
            let wrong: [(NATSMessage, NATSError.Code)] = [
                (NATSMessage(subject: "nobody"), .noResponders), (NATSMessage(subject: "silence"), .timeout),
                (NATSMessage(subject: "no subject"), .invalidArgument),
                (NATSMessage(subject: "echo", payload: [UInt8](repeating: 0, count: 2 << 20)), .payloadTooLarge),
            ]
            for (number, (message, code)) in wrong.enumerated() {
                let messages = questions(50) + [message] + questions(50)
                do throws(NATSError) {
                    _ = try await request(messages, by: connection, timeout: .milliseconds(500))
                    Issue.record("\(message.subject) was answered")
                } catch {
                    #expect(error.code == code)
                }
                _ = try await heard.wait(for: 100 * (number + 1))
                #expect(waiting(connection) == 0)
            }
        }
    }

    @Test("those that wait when the connection is lost are told so")
    func lost() async throws {
        try await withOwnRequests { server, connection in
            let heard = Inbox<String>()
            try connection.subscribe("silence") { heard.append($0.subject) }
            try await connection.flush(timeout: .seconds(5))
            async let answers = request([NATSMessage(subject: "silence")], by: connection, timeout: .seconds(60))
            _ = try await heard.wait(for: 1)
            await server.kill()
            do {
                _ = try await answers
                Issue.record("a server that is dead has answered")
            } catch {
                #expect((error as? NATSError)?.code == .notConnected)
            }
            #expect(waiting(connection) == 0)
        }
    }

    @Test("what a stream has acknowledged once does not count as two that are stored")
    func acknowledgedTwice() async throws {
        try await withOwnRequests { _, connection in
            let jetStream = JetStream(connection)
            for (sequences, isStored) in [([1, 2], true), ([3, 3], false)] {
                let left = Mutex(sequences)
                let stream = try connection.subscribe("stream") { [weak connection] message in
                    let sequence = left.withLock { $0.removeFirst() }
                    let answer = #"{"stream":"S","seq":\#(sequence)}"#
                    try? connection?.publish(NATSMessage(subject: message.replyTo ?? "", payload: Array(answer.utf8)))
                }
                try await connection.flush(timeout: .seconds(5))
                var error: NATSError?
                do throws(NATSError) {
                    try await jetStream.publishAtOnce { add in
                        for _ in 0..<2 { add(NATSMessage(subject: "stream")) }
                    }
                } catch let thrown {
                    error = thrown
                }
                #expect((error == nil) == isStored)
                stream.cancel()
            }
        }
    }

    @Test("what was said to be stored is, all of it, though the server is killed again and again", arguments: 0..<3)
    func killed(seed: Int) async throws {
        var random = SeededGenerator(seed: seed)
        try await withOwnRequests { server, connection in
            let jetStream = JetStream(connection)
            try await jetStream.ensureStream(StreamConfiguration(name: "ONCE", subjects: ["once.>"]))
            var stored: Set<String> = []
            for round in 0..<4 {
                let batches = Inbox<[String]>()
                async let publishing: Void = {
                    for batch in 0... {
                        let names = (0..<300).map { "once.\(round).\(batch).\($0)" }
                        do throws(NATSError) {
                            try await jetStream.publishAtOnce { add in
                                for name in names { add(NATSMessage(subject: name)) }
                            }
                            batches.append(names)
                        } catch {
                            return
                        }
                    }
                }()
                // The next batch is on its way then.
                _ = try await batches.wait(for: Int.random(in: 1...20, using: &random))
                await server.kill()
                await publishing
                stored.formUnion(batches.elements.flatMap(\.self))
                try await server.restart()
                await connection.untilOwnRequests()
            }
            let kept = try await jetStream.subjectCounts(in: "ONCE", matching: "once.>")
            #expect(stored.subtracting(kept.keys).isEmpty, "seed \(seed)")
            #expect(kept.values.allSatisfy { $0 == 1 }, "seed \(seed)")
        }
    }
}
