/// Follows a stream: what it holds, then what comes, in order and without gaps. When the connection or the server's
/// reader is lost it goes on behind the last message that it gave.
struct StreamFollower: Sendable {
    enum Event: Sendable {
        case message(StreamMessage)
        /// All that was there at the beginning has been given; once.
        case caughtUp
        /// The stream was deleted and made again: what was given is worth nothing now. The last event.
        case replaced
    }

    private let jetStream: JetStream
    private let stream: String
    private let subject: String
    /// Names the life of the stream that is followed.
    private let created: String
    private let first: StreamReader

    /// Begins with the last message of each subject that matches `subject`.
    init(_ jetStream: JetStream, stream: String, subject: String) async throws(NATSError) {
        self.jetStream = jetStream
        self.stream = stream
        self.subject = subject
        created = try await jetStream.streamInformation(stream).created
        first = try await jetStream.reader(of: stream, subject: subject, from: .lastPerSubject)
    }

    private struct Progress {
        var last: UInt64 = 0
        var isCaughtUp = false
        var consumerSequence: UInt64 = 0
    }

    /// Runs until the calling task is cancelled or the stream is replaced.
    func run(_ deliver: (Event) async -> Void) async {
        var reader: StreamReader? = first
        var progress = Progress()
        var failures = 0
        while !Task.isCancelled {
            do throws(NATSError) {
                if reader == nil {
                    reader = try await anotherReader(progress)
                    progress.consumerSequence = 0
                }
                guard let current = reader else { return await deliver(.replaced) }
                if !progress.isCaughtUp, current.pending == 0, progress.consumerSequence == 0 {
                    progress.isCaughtUp = true
                    await deliver(.caughtUp)
                }
                try await read(current.consumer, &progress, deliver)
                failures = 0
            } catch  where error.code == .cancelled || error.code == .closed {
                break
            } catch {
                reader?.consumer.remove()
                reader = nil
                failures += 1
                let pause = Duration.milliseconds(50) * (1 << min(failures - 1, 5))
                try? await Task.sleep(for: pause)
            }
        }
        reader?.consumer.remove()
    }

    private func read(
        _ consumer: PullConsumer, _ progress: inout Progress, _ deliver: (Event) async -> Void
    ) async throws(NATSError) {
        let wasCaughtUp = progress.isCaughtUp
        let messages =
            wasCaughtUp ? try await consumer.fetch(256, wait: .seconds(10)) : try await consumer.fetchAvailable(256)
        var pending: UInt64 = 0
        for delivered in messages {
            guard let metadata = delivered.replyTo.flatMap(DeliveryMetadata.init),
                let message = StreamMessage(delivered: delivered)
            else { continue }
            guard metadata.consumerSequence == progress.consumerSequence + 1 else {
                throw NATSError(.failed, "a message of the reader was lost on the way")
            }
            progress.consumerSequence = metadata.consumerSequence
            pending = metadata.pending
            guard message.sequence > progress.last else { continue }
            progress.last = message.sequence
            await deliver(.message(message))
        }
        if let replyTo = messages.last?.replyTo {
            // So that the server need not remember them; nobody waits for it.
            try jetStream.connection.publish(NATSMessage(subject: replyTo, payload: Array("+ACK".utf8)))
        }
        if !wasCaughtUp, messages.isEmpty || pending == 0 {
            progress.isCaughtUp = true
            await deliver(.caughtUp)
        }
    }

    /// A reader for the rest; nil if the stream is not the same any more.
    private func anotherReader(_ progress: Progress) async throws(NATSError) -> StreamReader? {
        guard try await jetStream.streamInformation(stream).created == created else { return nil }
        return try await jetStream.reader(
            of: stream, subject: subject,
            from: progress.isCaughtUp ? .sequence(progress.last + 1) : .lastPerSubject)
    }
}
