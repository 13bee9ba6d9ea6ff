internal import EventBus
internal import Events
internal import Logging
internal import ServiceLifecycle
internal import TaskWorkerCore

/// Ends tasks that expire while they wait behind others or in a paused queue, at their time. Every worker looks; the record
/// decides who ends a task.
struct ExpiryWatch: Service {
    private static let interval = Duration.seconds(1)
    /// How late an entry may be written, by a clock that is behind.
    private static let lateness = Duration.seconds(10)
    /// How many tasks are ended at once.
    private static let width = 16

    let parts: WorkerParts

    private var book: ExpiryBook { ExpiryBook(bus: parts.bus, subjects: parts.subjects) }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            // Beginning with what came due while no worker ran.
            var start = parts.clock.now.advanced(by: .zero - ExpiryBook.horizon)
            while !Task.isCancelled {
                let now = parts.clock.now
                do {
                    let due = try await book.due(from: start, through: now)
                    _ = try await due.mapAtOnce(ExpiryWatch.width) { try await end($0) }
                    start = now.advanced(by: .zero - ExpiryWatch.lateness)
                } catch {
                    parts.logger.debug("expired tasks were not looked for", metadata: ["error": "\(error)"])
                }
                try? await parts.clock.pause(for: ExpiryWatch.interval)
            }
        }
    }

    private func end(_ entry: ExpiryEntry) async throws {
        while true {
            let slot = try await parts.store.slot(userToken: entry.user, id: entry.id)
            // One that has begun is not expired, and one that nobody recorded is looked at when its turn comes.
            guard let record = slot.record, record.attempt == 0, let message = try await message(of: record),
                let task = try? TaskMessage(
                    message.message, sequence: message.sequence, storedAt: message.storedAt, parts),
                let expiry = task.request.expiry(submittedAt: record.submittedAt)
            else { break }
            let failure = EarlyFailure(parts: parts)
            if record.state == .failed {
                // Whoever did it may have been killed before the end.
                try await failure.complete(record, message)
                break
            }
            guard record.state == .queued else { break }
            if try await failure.fail(
                record, of: task.request, in: slot, message: message, reason: TaskRecord.expired(expiry))
            {
                break
            }
        }
        try await book.remove(entry)
    }

    private func message(of record: TaskRecord) async throws -> StoredMessage? {
        guard let sequence = record.streamSequence, sequence > 0 else { return nil }
        let found = try await parts.bus.messages(
            in: parts.subjects.tasksStream, subject: nil, after: sequence - 1, limit: 1)
        return found.first.flatMap { $0.sequence == sequence ? $0 : nil }
    }
}
