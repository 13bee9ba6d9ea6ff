internal import Synchronization

extension JetStream {
    /// Publishes all messages in their order, with at most `window` waiting for their acknowledgement at a time: many
    /// times faster than one after the other.
    /// - Throws: the first error; what follows the message that failed may have been stored nevertheless.
    public func publish(_ messages: [NATSMessage], window: Int) async throws(NATSError) -> [PublishAcknowledgement] {
        var acknowledgements: [PublishAcknowledgement] = []
        acknowledgements.reserveCapacity(messages.count)
        for outcome in await publishAll(messages, window: window) { acknowledgements.append(try outcome.get()) }
        return acknowledgements
    }

    /// As ``publish(_:window:)``, and tells of each message what became of it. When the calling task is cancelled, the
    /// messages that were not yet sent are not.
    public func publishAll(
        _ messages: [NATSMessage], window: Int
    ) async -> [Result<PublishAcknowledgement, NATSError>] {
        let inFlight = PublishWindow(count: messages.count, limit: max(1, window))
        for (index, message) in messages.enumerated() {
            await inFlight.room()
            guard !Task.isCancelled else {
                inFlight.ended(index, .failure(.cancelled))
                continue
            }
            do throws(NATSError) {
                try connection.begin(message, timeout: timeout) { inFlight.ended(index, $0) }
            } catch {
                inFlight.ended(index, .failure(error))
            }
        }
        return await inFlight.all()
    }
}

/// Counts the messages that wait for an acknowledgement and keeps what became of each.
private final class PublishWindow: Sendable {
    private struct State {
        var outcomes: [Result<NATSMessage, NATSError>?]
        /// Messages that may be sent before one must be acknowledged.
        var room: Int
        var unfinished: Int
        var waitingForRoom: CheckedContinuation<Void, Never>?
        var waitingForEnd: CheckedContinuation<Void, Never>?
    }

    private let state: Mutex<State>

    init(count: Int, limit: Int) {
        state = Mutex(State(outcomes: Array(repeating: nil, count: count), room: limit, unfinished: count))
    }

    /// Takes one place, when there is one.
    func room() async {
        await withCheckedContinuation { continuation in
            let hasRoom = state.withLock { state in
                guard state.room > 0 else {
                    state.waitingForRoom = continuation
                    return false
                }
                state.room -= 1
                return true
            }
            if hasRoom { continuation.resume() }
        }
    }

    func ended(_ index: Int, _ outcome: Result<NATSMessage, NATSError>) {
        let (room, end) = state.withLock { state in
            state.outcomes[index] = outcome
            state.unfinished -= 1
            // The place goes to who waits for it, or is free again.
            let room = state.waitingForRoom.take()
            if room == nil { state.room += 1 }
            return (room, state.unfinished == 0 ? state.waitingForEnd.take() : nil)
        }
        room?.resume()
        end?.resume()
    }

    func all() async -> [Result<PublishAcknowledgement, NATSError>] {
        await withCheckedContinuation { continuation in
            let isOver = state.withLock { state in
                guard state.unfinished > 0 else { return true }
                state.waitingForEnd = continuation
                return false
            }
            if isOver { continuation.resume() }
        }
        return state.withLock(\.outcomes).map { outcome in
            switch outcome {
            case .success(let answer)?:
                do throws(NATSError) {
                    return .success(try PublishAcknowledgement(answer.payload))
                } catch {
                    return .failure(error)
                }
            case .failure(let error)?: return .failure(JetStream.explained(error))
            case nil: return .failure(.cancelled)
            }
        }
    }
}
