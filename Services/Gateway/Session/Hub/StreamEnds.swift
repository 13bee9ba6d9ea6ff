internal import EventBus
internal import Events
internal import Synchronization

/// Where streams end, as of a moment ago: read once for all who ask at about the same time, since asking costs the server
/// more than all the rest of what a new channel costs it.
///
/// For where a channel without a message begins, an end that is a little old is as good as the present one: what its
/// channel gets later has a greater sequence than either.
final class StreamEnds: Sendable {
    struct End: Sendable {
        var epoch: String
        var lastSequence: UInt64

        init(epoch: String, lastSequence: UInt64) {
            self.epoch = epoch
            self.lastSequence = lastSequence
        }

        init(_ state: StreamState) {
            epoch = state.epoch
            lastSequence = state.lastSequence
        }
    }

    /// How old an end may be.
    static let maximumAge = Duration.seconds(1)

    private enum Reading {
        /// Somebody has asked, and these wait for the same answer.
        case underWay([CheckedContinuation<End, any Error>])
        case done(End, at: Timestamp)
        case failed(any Error)
    }

    /// One reading of one stream; whoever forgets it lets go of it, and those who wait for it still get its answer.
    private final class Entry: Sendable {
        private let reading = Mutex(Reading.underWay([]))

        func isUsable(now: Timestamp) -> Bool {
            reading.withLock { reading in
                switch reading {
                case .underWay: true
                // The time of day may have been set back.
                case .done(_, let moment): (.zero...StreamEnds.maximumAge).contains(moment.duration(to: now))
                case .failed: false
                }
            }
        }

        /// The end, once it is there.
        func end() async throws -> End {
            try await withCheckedThrowingContinuation { continuation in
                let answer: Result<End, any Error>? = reading.withLock { reading in
                    switch reading {
                    case .underWay(var waiting):
                        // So that the list is not copied for each of thousands.
                        reading = .underWay([])
                        waiting.append(continuation)
                        reading = .underWay(waiting)
                        return nil
                    case .done(let end, _): return .success(end)
                    case .failed(let error): return .failure(error)
                    }
                }
                if let answer { continuation.resume(with: answer) }
            }
        }

        /// - Returns: those who wait for it.
        func finish(_ outcome: Reading) -> [CheckedContinuation<End, any Error>] {
            reading.withLock { reading in
                defer { reading = outcome }
                guard case .underWay(let waiting) = reading else { return [] }
                return waiting
            }
        }
    }

    private let entries = Mutex<[String: Entry]>([:])

    /// What was read may be of another life of the streams.
    func forget() { entries.withLock { $0 = [:] } }

    /// - Parameter read: is called at most once at a time for each stream.
    /// - Throws: what `read` throws, to all who wait for it; nothing of it is kept.
    func end(
        of stream: String, clock: () -> Timestamp, read: () async throws -> End
    ) async throws -> End {
        let (entry, isFirst) = entries.withLock { entries in
            if let entry = entries[stream], entry.isUsable(now: clock()) { return (entry, false) }
            let entry = Entry()
            entries[stream] = entry
            return (entry, true)
        }
        guard isFirst else { return try await entry.end() }
        do {
            // As of before the answer: what it is the end of is not older than this.
            let moment = clock()
            let end = try await read()
            for waiting in entry.finish(.done(end, at: moment)) { waiting.resume(returning: end) }
            return end
        } catch {
            entries.withLock { entries in
                if entries[stream] === entry { entries[stream] = nil }
            }
            for waiting in entry.finish(.failed(error)) { waiting.resume(throwing: error) }
            throw error
        }
    }
}
