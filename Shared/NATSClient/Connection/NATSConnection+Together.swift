internal import Synchronization

/// What answers one of several requests: where it lies in the buffer that it was read into, so that of most nothing is copied.
enum NATSAnswer {
    case read(CoreMessage)
    case message(NATSMessage)

    /// As ``NATSMessage/status``.
    var status: Int? {
        switch self {
        case .read(let message): message.status
        case .message(let message): message.status
        }
    }

    var payload: [UInt8] {
        switch self {
        case .read(let message): Array(message.payload)
        case .message(let message): message.payload
        }
    }

    var message: NATSMessage {
        switch self {
        case .read(let message): NATSMessage(message)
        case .message(let message): message
        }
    }
}

/// Several requests at once.
extension NATSConnection {
    /// Reads an answer, or says why it is of no use. Called on any thread; must not block.
    typealias AnswerReader<Value> = @Sendable (NATSAnswer) -> Result<Value, NATSError>

    /// Sends requests so close behind each other that the server sees all of them, in their order, or of a lost connection
    /// only the first so many; what is read of their answers comes together. Where that is not possible one follows when the one
    /// before has been answered, and none follows one that failed.
    func requestInOrder<Value: Sendable>(
        _ messages: [NATSMessage], timeout: Duration, _ read: @escaping AnswerReader<Value>
    ) async -> [Result<Value, NATSError>] {
        guard let requester, requester.isConnected else {
            var results: [Result<Value, NATSError>] = []
            for message in messages {
                let result = await requestAlone(message, timeout: timeout, read)
                results.append(result)
                if case .failure = result { break }
            }
            return results
        }
        return await answers(to: messages.count, read) { completion in
            requester.beginAll(messages, timeout: timeout, completion: completion)
        }
    }

    /// Sends requests so close behind each other that they take hardly longer than one, and says what became of each. Where that
    /// is not possible one follows the other; one that failed holds up none.
    func requestTogether<Value: Sendable>(
        _ messages: [NATSMessage], timeout: Duration, _ read: @escaping AnswerReader<Value>
    ) async -> [Result<Value, NATSError>] {
        guard let requester, requester.isConnected else {
            var results: [Result<Value, NATSError>] = []
            for message in messages { results.append(await requestAlone(message, timeout: timeout, read)) }
            return results
        }
        return await answers(to: messages.count, read) { completion in
            requester.beginTogether(messages, timeout: timeout, completion: completion)
        }
    }

    private func requestAlone<Value: Sendable>(
        _ message: NATSMessage, timeout: Duration, _ read: AnswerReader<Value>
    ) async -> Result<Value, NATSError> {
        do throws(NATSError) {
            return read(.message(try await request(message, timeout: timeout)))
        } catch {
            return .failure(error)
        }
    }

    /// - Parameter begin: sends so many requests, and calls what it is given once for each.
    private func answers<Value: Sendable>(
        to count: Int, _ read: @escaping AnswerReader<Value>,
        _ begin: (@escaping @Sendable (Int, Result<CoreMessage, NATSError>) -> Void) -> Void
    ) async -> [Result<Value, NATSError>] {
        guard count > 0 else { return [] }
        return await withCheckedContinuation { continuation in
            let answers = Answers<Value>(count)
            begin { index, answer in
                let result = answer.flatMap { read(.read($0)) }
                if let all = answers.put(result, at: index) { continuation.resume(returning: all) }
            }
        }
    }
}

/// Collects what became of several requests.
private final class Answers<Value: Sendable>: Sendable {
    private let state: Mutex<(results: [Result<Value, NATSError>], missing: Int)>

    init(_ count: Int) { state = Mutex((Array(repeating: .failure(.notConnected), count: count), count)) }

    /// - Returns: all of them, when this was the last.
    func put(_ result: Result<Value, NATSError>, at index: Int) -> [Result<Value, NATSError>]? {
        state.withLock { state in
            state.results[index] = result
            state.missing -= 1
            return state.missing == 0 ? state.results : nil
        }
    }
}
