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

    /// Sends requests so close behind each other that they take hardly longer than one, for whoever needs all of their answers and
    /// not to know whose each is, which spares both sides most of what answers cost. Each is sent, whatever becomes of others.
    /// Where that is not possible one follows when the one before has been answered.
    /// - Parameter write: makes the messages, one by one; called once.
    /// - Returns: what is read of the answers, in no order.
    /// - Throws: what went wrong with one of them; nothing is known of the others then.
    func requestAtOnce<Value: Sendable>(
        timeout: Duration, _ read: @escaping AnswerReader<Value>,
        _ write: (_ add: @escaping (NATSMessage) -> Void) -> Void
    ) async throws(NATSError) -> [Value] {
        guard let requester, requester.isConnected else {
            var messages: [NATSMessage] = []
            write { messages.append($0) }
            var values: [Value] = []
            var failure: NATSError?
            for message in messages {
                switch await requestAlone(message, timeout: timeout, read) {
                case .success(let value): values.append(value)
                case .failure(let error): failure = failure ?? error
                }
            }
            if let failure { throw failure }
            return values
        }
        let result = await withCheckedContinuation { continuation in
            let answers = GatheredAnswers<Value> { continuation.resume(returning: $0) }
            let sent = requester.beginAtOnce(write, timeout: timeout) { answers.add($0.flatMap { read(.read($0)) }) }
            answers.finish(count: sent.count) { requester.forget(sent.token) }
        }
        return try result.get()
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

/// Collects the answers to several requests, whosesoever they are.
private final class GatheredAnswers<Value: Sendable>: Sendable {
    private struct State {
        var values: [Value] = []
        var error: NATSError?
        /// nil until it is known.
        var count: Int?
        var end: (@Sendable () -> Void)?

        /// What came of all, when no more is to come.
        var result: Result<[Value], NATSError>? {
            if let error { return count == nil ? nil : .failure(error) }
            return values.count == count ? .success(values) : nil
        }
    }

    private let state = Mutex(State())
    private let completion: @Sendable (Result<[Value], NATSError>) -> Void

    init(_ completion: @escaping @Sendable (Result<[Value], NATSError>) -> Void) { self.completion = completion }

    func add(_ answer: Result<Value, NATSError>) {
        change { state in
            switch answer {
            case .success(let value): state.values.append(value)
            case .failure(let error): state.error = state.error ?? error
            }
        }
    }

    /// All has been sent.
    /// - Parameter end: called when no more answers are wanted.
    func finish(count: Int, end: @escaping @Sendable () -> Void) {
        change { state in
            state.values.reserveCapacity(count)
            (state.count, state.end) = (count, end)
        }
    }

    private func change(_ body: (inout State) -> Void) {
        let (result, end) = state.withLock { state -> (Result<[Value], NATSError>?, (@Sendable () -> Void)?) in
            guard state.result == nil else { return (nil, nil) }
            body(&state)
            guard let result = state.result else { return (nil, nil) }
            return (result, state.end.take())
        }
        end?()
        if let result { completion(result) }
    }
}
