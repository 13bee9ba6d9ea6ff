import EventBus
import EventBusNATS
import Foundation
import Synchronization
import TestKit
import Testing

@testable import NATSClient

@Suite("Requests on a connection of their own", .enabled(if: NATSServerProcess.canRun), .timeLimit(.minutes(2)))
struct OwnRequestsTests {
    @Test("the bus keeps its contract", arguments: EventBusContract.cases)
    func contract(_ contract: EventBusContract.Case) async throws {
        try await withBus({ $0.makesManyRequests = true }) { _, bus in try await contract.run(on: bus) }
    }

    @Test("what was subscribed to just before, on the other connection, answers a request")
    func ownAnswers() async throws {
        try await withOwnRequests { _, connection in
            for number in 0..<500 {
                let subscription = try connection.subscribe("just.\(number)") { request in
                    guard let replyTo = request.replyTo else { return }
                    try? connection.publish(NATSMessage(subject: replyTo, payload: request.payload))
                }
                let answer = try await connection.request(
                    NATSMessage(subject: "just.\(number)", payload: [7]), timeout: .seconds(10))
                #expect(answer.payload == [7])
                subscription.cancel()
            }
        }
    }

    @Test("a thousand at once are each answered with their own answer")
    func many() async throws {
        try await withOwnRequests { _, connection in
            try connection.subscribe("echo") { [weak connection] message in
                guard let replyTo = message.replyTo else { return }
                try? connection?.publish(
                    NATSMessage(subject: replyTo, headers: message.headers, payload: message.payload))
            }
            try await connection.flush(timeout: .seconds(5))
            try await withThrowingTaskGroup { group in
                for number in 0..<1000 {
                    group.addTask {
                        let payload = Array("\(number)".utf8)
                        let headers: NATSHeaders = number % 2 == 0 ? [:] : ["Number": "\(number)", "Other": "ü: x"]
                        let answer = try await connection.request(
                            NATSMessage(subject: "echo", headers: headers, payload: payload), timeout: .seconds(10))
                        #expect(answer.payload == payload)
                        #expect(answer.headers == headers)
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test("nobody's answer, one that does not come, and a message that is too large are errors of their own")
    func errors() async throws {
        try await withOwnRequests { _, connection in
            try connection.subscribe("silence") { _ in }
            try await connection.flush(timeout: .seconds(5))
            func failure(_ subject: String, _ payload: [UInt8] = []) async -> NATSError.Code? {
                do throws(NATSError) {
                    _ = try await connection.request(
                        NATSMessage(subject: subject, payload: payload), timeout: .milliseconds(200))
                    return nil
                } catch {
                    return error.code
                }
            }
            #expect(await failure("nobody") == .noResponders)
            #expect(await failure("silence") == .timeout)
            #expect(await failure("silence", [UInt8](repeating: 1, count: 2 << 20)) == .payloadTooLarge)
            #expect(await failure("not a subject") == .invalidArgument)
            let waiting = Task { await failure("silence") }
            waiting.cancel()
            #expect([.cancelled, .timeout].contains(await waiting.value))
        }
    }

    @Test("messages that are sent in order are stored in order, and again after the server was killed")
    func inOrder() async throws {
        try await withOwnRequests { server, connection in
            let stream = JetStream(connection)
            try await stream.ensureStream(StreamConfiguration(name: "ORDER", subjects: ["order.>"]))
            func send(after last: UInt64) async throws {
                let messages = (0..<100).map { NATSMessage(subject: "order.a", payload: Array("\($0)".utf8)) }
                let stored = try await stream.publishInOrder(messages)
                #expect(stored.map(\.sequence) == (1...100).map { last + $0 })
            }
            try await send(after: 0)
            await server.kill()
            do throws(NATSError) {
                try await stream.publishInOrder([NATSMessage(subject: "order.a")])
                Issue.record("something was stored by a server that is dead")
            } catch {
                #expect(error.code == .notConnected)
            }
            try await server.restart()
            await connection.untilOwnRequests()
            // Of what was sent to a dying server nobody knows whether the next one gets it.
            let last = try await stream.streamInformation("ORDER").lastSequence
            #expect((100...101).contains(last))
            try await send(after: last)
        }
    }

    @Test(
        "deliveries come by it, and what comes too late for one fetch comes with the next, though the server is killed",
        arguments: [false, true])
    func deliveries(isKilled: Bool) async throws {
        try await withOwnRequests { server, connection in
            let stream = JetStream(connection)
            try await stream.ensureStream(StreamConfiguration(name: "WORK", subjects: ["work.>"]))
            var configuration = ConsumerConfiguration(stream: "WORK", name: "worker")
            configuration.acknowledgementWait = .seconds(1)
            let consumer = try await stream.consumer(configuration)
            try await stream.publishInOrder(
                (0..<10).map { NATSMessage(subject: "work.a", payload: Array("\($0)".utf8)) })
            var found: [String] = []
            for _ in 0..<2 {
                for message in try await consumer.fetch(3, wait: .seconds(5)) {
                    found.append(String(decoding: message.payload, as: UTF8.self))
                    try await consumer.acknowledge(message)
                }
            }
            #expect(found == ["0", "1", "2", "3", "4", "5"])
            if isKilled { await server.kill() } else { await server.shutDown() }
            try await server.restart()
            await connection.untilOwnRequests()
            let all = (0..<10).map { "\($0)" }
            while Set(found).count < 10 {
                guard let messages = try? await consumer.fetch(10, wait: .seconds(2)) else { continue }
                for message in messages {
                    found.append(String(decoding: message.payload, as: UTF8.self))
                    try await consumer.acknowledge(message)
                }
            }
            // What was acknowledged a moment before, a server that is killed may forget, and nothing else.
            if isKilled { found = Array(all.prefix(6)) + found.filter { !all.prefix(6).contains($0) } }
            #expect(found.sorted() == all)
        }
    }
}
