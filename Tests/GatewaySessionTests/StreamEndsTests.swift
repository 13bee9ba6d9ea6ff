import EventBus
import Events
import Synchronization
import TestKit
import Testing

@testable import GatewaySession

/// Where streams end, read once for all who ask.
@Suite(.timeLimit(.minutes(1))) final class StreamEndsTests: Sendable {
    private let ends = StreamEnds()
    private let time = Mutex(Timestamp(seconds: 1_000))

    @Sendable private func clock() -> Timestamp { time.withLock { $0 } }

    /// What reads, when it is told to go on.
    private final class Reader: Sendable {
        let begun = Mutex(0)
        let gate = AsyncStream.makeStream(of: Result<UInt64, BusError>.self)

        func read() async throws -> StreamEnds.End {
            begun.withLock { $0 += 1 }
            for await outcome in gate.stream { return StreamEnds.End(epoch: "e", lastSequence: try outcome.get()) }
            throw CancellationError()
        }

        func end(_ outcome: Result<UInt64, BusError>) { gate.continuation.yield(outcome) }
    }

    @Test("a hundred who ask at once get the answer of one reading")
    func together() async throws {
        let reader = Reader()
        let results = try await withThrowingTaskGroup(of: UInt64.self) { group in
            for _ in 0..<100 {
                group.addTask { [self] in try await ends.end(of: "S", clock: clock, read: reader.read).lastSequence }
            }
            reader.end(.success(7))
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(results == Array(repeating: 7, count: 100))
        #expect(reader.begun.withLock { $0 } == 1)
    }

    @Test("an end is used for a second, and read anew after it, or when the clock was set back")
    func age() async throws {
        let reader = Reader()
        func end() async throws -> UInt64 { try await ends.end(of: "S", clock: clock, read: reader.read).lastSequence }
        for sequence: UInt64 in 1...3 { reader.end(.success(sequence)) }
        #expect(try await end() == 1)
        time.withLock { $0 = $0.advanced(by: .seconds(1)) }
        #expect(try await end() == 1)
        time.withLock { $0 = $0.advanced(by: .milliseconds(1)) }
        #expect(try await end() == 2)
        time.withLock { $0 = $0.advanced(by: .seconds(-60)) }
        #expect(try await end() == 3)
    }

    @Test("a reading that fails does so for all who wait for it, and the next who asks reads again")
    func failure() async throws {
        let reader = Reader()
        let failed = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<10 {
                group.addTask { [self] in (try? await ends.end(of: "S", clock: clock, read: reader.read)) == nil }
            }
            // Whoever comes after the failure reads for himself.
            for _ in 0..<10 { reader.end(.failure(BusError(.timeout, "no answer"))) }
            return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(failed == 10)
        let second = Reader()
        second.end(.success(2))
        #expect(try await ends.end(of: "S", clock: clock, read: second.read).lastSequence == 2)
    }

    @Test("streams have ends of their own, and what is forgotten is read again")
    func forgotten() async throws {
        let reader = Reader()
        for sequence: UInt64 in 1...3 { reader.end(.success(sequence)) }
        #expect(try await ends.end(of: "S", clock: clock, read: reader.read).lastSequence == 1)
        #expect(try await ends.end(of: "T", clock: clock, read: reader.read).lastSequence == 2)
        ends.forget()
        #expect(try await ends.end(of: "S", clock: clock, read: reader.read).lastSequence == 3)
        #expect(reader.begun.withLock { $0 } == 3)
    }
}
