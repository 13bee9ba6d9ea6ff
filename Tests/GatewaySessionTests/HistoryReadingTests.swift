import EventBus
import Events
import Synchronization
import TestKit
import Testing

@testable import GatewaySession

/// A stream that keeps few messages of a channel, to which others publish while it is read.
@Suite struct HistoryReadingTests {
    /// As a server reads: how many messages there are to be read is found out first, and then each is looked for, while others come
    /// and the oldest go.
    private final class Stream: Sendable {
        private struct State {
            /// All sequences that there ever were.
            var log: [UInt64] = []
            var kept: [UInt64] = []
            var random: SeededGenerator
        }

        let limit: Int
        private let state: Mutex<State>

        init(limit: Int, seed: Int) {
            self.limit = limit
            state = Mutex(State(random: SeededGenerator(seed: seed)))
        }

        var log: [UInt64] { state.withLock { $0.log } }

        func publish(_ count: Int) { state.withLock { publish(count, &$0) } }

        private func publish(_ count: Int, _ state: inout State) {
            for _ in 0..<count {
                // Other channels' messages lie between.
                let next = (state.log.last ?? 0) + UInt64.random(in: 1...3, using: &state.random)
                state.log.append(next)
                state.kept.append(next)
            }
            state.kept = state.kept.suffix(limit)
        }

        func reading(busy: Int) -> HistoryReading {
            HistoryReading(limit: limit) { [self] after, count in
                state.withLock { state in
                    let pending = min(count, state.kept.count { $0 > after })
                    var (read, position) = ([StoredMessage](), after)
                    for _ in 0..<pending {
                        publish(Int.random(in: 0...busy, using: &state.random), &state)
                        guard let next = state.kept.first(where: { $0 > position }) else { break }
                        read.append(
                            StoredMessage(
                                message: BusMessage(subject: "s"), sequence: next, storedAt: Timestamp(seconds: 1)))
                        position = next
                    }
                    publish(Int.random(in: 0...busy, using: &state.random), &state)
                    return read
                }
            }
        }
    }

    @Test("what is read of a busy channel has no holes, or it is said that something is gone", arguments: 0..<400)
    func whole(seed: Int) async throws {
        var random = SeededGenerator(seed: seed)
        let stream = Stream(limit: Int.random(in: 2...12, using: &random), seed: seed)
        stream.publish(Int.random(in: 0...30, using: &random))
        let known = stream.log
        let last = ([0] + known.suffix(stream.limit)).randomElement(using: &random) ?? 0
        let reading = stream.reading(busy: Int.random(in: 0...3, using: &random))
        if let read = try await reading.everything(after: last)?.map(\.sequence) {
            #expect(read == Array(stream.log.filter { $0 > last }.prefix(read.count)), "seed \(seed)")
            // What was there when it was asked for is there.
            #expect(read.count >= known.count { $0 > last }, "seed \(seed)")
        }
        let newest = try await reading.newest()
        let read = newest.messages.map(\.sequence)
        if let first = read.first {
            #expect(read == Array(stream.log.filter { $0 >= first }.prefix(read.count)), "seed \(seed)")
            #expect(newest.mayBeTrimmed || first == stream.log.first, "seed \(seed)")
        }
    }

    @Test("on a quiet channel nothing is said to be gone that is there", arguments: 0..<50)
    func quiet(seed: Int) async throws {
        let stream = Stream(limit: 6, seed: seed)
        stream.publish(seed)
        let reading = stream.reading(busy: 0)
        for missed in 0...5 where missed <= seed {
            let last = stream.log.dropLast(missed).last ?? 0
            #expect(try await reading.everything(after: last)?.count == missed)
        }
        if seed > 6 { #expect(try await reading.everything(after: stream.log[seed - 7]) == nil) }
        #expect(try await reading.newest().messages.map(\.sequence) == stream.log.suffix(6))
        #expect(try await reading.newest().mayBeTrimmed == (seed >= 6))
    }
}
