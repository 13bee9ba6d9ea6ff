internal import Synchronization

/// Several requests at once.
extension NATSConnection {
    /// Sends requests so close behind each other that the server sees all of them, in their order, or of a lost connection
    /// only the first so many; their answers come together. Where that is not possible one follows when the one before has
    /// been answered, and none follows one that failed.
    func requestInOrder(
        _ messages: [NATSMessage], timeout: Duration
    ) async -> [Result<NATSMessage, NATSError>] {
        guard let requester, requester.isConnected else {
            var results: [Result<NATSMessage, NATSError>] = []
            for message in messages {
                do throws(NATSError) {
                    results.append(.success(try await request(message, timeout: timeout)))
                } catch {
                    results.append(.failure(error))
                    break
                }
            }
            return results
        }
        guard !messages.isEmpty else { return [] }
        return await withCheckedContinuation { continuation in
            let answers = Answers(messages.count)
            requester.beginAll(messages, timeout: timeout) { index, result in
                if let all = answers.put(result, at: index) { continuation.resume(returning: all) }
            }
        }
    }

    /// Sends requests so close behind each other that they take hardly longer than one, and says what became of each. Where that
    /// is not possible one follows the other; one that failed holds up none.
    func requestTogether(
        _ messages: [NATSMessage], timeout: Duration
    ) async -> [Result<NATSMessage, NATSError>] {
        guard let requester, requester.isConnected else {
            var results: [Result<NATSMessage, NATSError>] = []
            for message in messages {
                do throws(NATSError) {
                    results.append(.success(try await request(message, timeout: timeout)))
                } catch {
                    results.append(.failure(error))
                }
            }
            return results
        }
        guard !messages.isEmpty else { return [] }
        return await withCheckedContinuation { continuation in
            let answers = Answers(messages.count)
            requester.beginTogether(messages, timeout: timeout) { index, result in
                if let all = answers.put(result, at: index) { continuation.resume(returning: all) }
            }
        }
    }
}

/// Collects what became of several requests.
private final class Answers: Sendable {
    private let state: Mutex<(results: [Result<NATSMessage, NATSError>], missing: Int)>

    init(_ count: Int) { state = Mutex((Array(repeating: .failure(.notConnected), count: count), count)) }

    /// - Returns: all of them, when this was the last.
    func put(_ result: Result<NATSMessage, NATSError>, at index: Int) -> [Result<NATSMessage, NATSError>]? {
        state.withLock { state in
            state.results[index] = result
            state.missing -= 1
            return state.missing == 0 ? state.results : nil
        }
    }
}
