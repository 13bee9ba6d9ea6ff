internal import GatewaySession
internal import GatewayWire
internal import HTTPTypes
internal import Hummingbird
internal import JSON
internal import NIOCore

/// `GET /poll?channel=…&channel=…&after=…&wait=30`, and the same as `POST` with a JSON body, for lists of channels that are
/// too long for an address: long polling, and plain polling with `wait=0`.
///
/// Nothing stays between two polls: the position that an answer gives is all that the next needs, on any gateway.
struct PollRoute {
    let shards: ShardGroup
    let services: EdgeServices

    /// How long a poll waits that does not say.
    static let defaultWait = 25.0
    /// A longer wait is shortened to this: proxies between would end it.
    static let maximumWait = 60.0

    /// What is asked for.
    struct Question: Equatable {
        var channels: [String]
        /// Nil for a first poll, and for a position that cannot be read.
        var after: ChannelCursor?
        /// A position was given that is none of ours.
        var isUnreadable = false
        var wait: Duration
    }

    func add(to router: Router<BasicRequestContext>) {
        router.get("poll") { request, _ in
            let question = try PollRoute.question(parameters: request.parameters)
            // Who does not wait need not be watched, and may ask again on the same connection.
            guard question.wait > .zero else { return try await self.answer(request, question, PollAnswer()) }
            return try await self.respond(request) { _ in question }
        }
        router.post("poll") { request, _ in
            try await self.respond(request) { body in
                guard let value = try? JSONValue(parsing: body.readableBytesView) else {
                    throw HTTPFailure(.badRequest, "the body is not JSON")
                }
                return try PollRoute.question(body: value)
            }
        }
    }

    // MARK: The question

    static func question(parameters: [(name: String, value: String)]) throws -> Question {
        let wait = try parameters.first { $0.name == "wait" }.map { pair throws -> Double in
            guard let seconds = Double(pair.value) else { throw waitFailure }
            return seconds
        }
        return try question(
            channels: parameters.filter { $0.name == "channel" }.map(\.value),
            after: parameters.first { $0.name == "after" }?.value, wait: wait)
    }

    static func question(body: JSONValue) throws -> Question {
        guard body.objectValue != nil else {
            throw HTTPFailure(.badRequest, #"the body is an object: {"channels":["…"],"after":"…","wait":25}"#)
        }
        let entries = body["channels"]?.arrayValue ?? []
        let channels = entries.compactMap(\.stringValue)
        guard channels.count == entries.count else { throw HTTPFailure(.badRequest, "channels is a list of names") }
        let after = body["after"] ?? .null
        guard after.isNull || after.stringValue != nil else {
            throw HTTPFailure(.badRequest, "after is the position of an earlier answer, a text")
        }
        let wait = body["wait"] ?? .null
        let seconds = wait.integerValue.map(Double.init) ?? wait.doubleValue
        guard wait.isNull || seconds != nil else { throw waitFailure }
        return try question(channels: channels, after: after.stringValue, wait: seconds)
    }

    private static func question(channels: [String], after: String?, wait: Double?) throws -> Question {
        guard !channels.isEmpty else { throw HTTPFailure(.badRequest, "name at least one channel: /poll?channel=…") }
        guard channels.count <= ChannelCursor.maximumCount else { throw HTTPFailure(refusing: .channelLimit) }
        let seconds = wait ?? defaultWait
        guard seconds.isFinite, seconds >= 0 else { throw waitFailure }
        let given = after.flatMap { $0.isEmpty ? nil : $0 }
        let cursor = given.flatMap { ChannelCursor($0) }
        return Question(
            channels: channels, after: cursor, isUnreadable: given != nil && cursor == nil,
            wait: .milliseconds(Int64(min(seconds, maximumWait) * 1000)))
    }

    private static let waitFailure = HTTPFailure(.badRequest, "wait is a number of seconds, 0 or more")

    // MARK: The answer

    private func respond(
        _ request: Request, _ read: (ByteBuffer) throws -> Question
    ) async throws -> Response {
        let answer = PollAnswer()
        var response = try await request.watchingClient { body in
            try await self.answer(request, try read(body), answer)
        } onClosed: {
            answer.finish()
        }
        // Watching for a client that goes takes what it sends next away from the next request of the connection.
        response.headers[.connection] = "close"
        return response
    }

    private func answer(_ request: Request, _ question: Question, _ answer: PollAnswer) async throws -> Response {
        let token = request.token
        try services.admit(try services.identity(of: request))
        let shard = shards.any()
        let channels = question.channels.map { SubscribeCommand(channel: $0, recoverFrom: question.after?[$0]) }
        let id = await shard.openStream(
            .longPolling, codec: LongPolling(), transport: answer, token: token, channels: channels,
            trace: request.trace)
        let lease = SessionLease { [shards] in shards.run(on: shard) { $0.closed(id) } }
        defer { withExtendedLifetime(lease) {} }
        let refusal = await withTaskCancellationHandler {
            await answer.opening.refusal()
        } onCancel: {
            answer.close(.shutdown)
        }
        if let refusal { throw HTTPFailure(refusing: refusal) }
        let isRecovered = await shard.progress(of: id)?.lost.isEmpty == true && !question.isUnreadable
        if question.wait > .zero, isRecovered { await PollRoute.wait(for: answer, question.wait) }
        // On the shard, so that the position is that of the last message in the answer.
        guard let progress = await shard.endPoll(id) else { throw HTTPFailure(refusing: .internalError) }
        if let end = answer.end, end == .permissionDenied || end == .forced || end == .expired {
            throw HTTPFailure(refusing: end)
        }
        return Response.json(
            bytes: LongPolling.answer(
                messages: answer.messages, position: progress.position,
                lost: question.isUnreadable ? question.channels : progress.lost))
    }

    /// Waits for a message, the end of the time, or the client's going.
    private static func wait(for answer: PollAnswer, _ duration: Duration) async {
        await withDiscardingTaskGroup { group in
            group.addTask {
                if (try? await Task.sleep(for: duration)) != nil { answer.finish() }
            }
            await answer.wait()
            group.cancelAll()
        }
    }
}
