internal import EventBus
internal import Events
internal import JSON
internal import TaskWorkerCore

extension WorkerParts {
    /// Keeps the message of a task that failed among the dead letters, with what each of its attempts failed of. Tries
    /// until the bus takes it.
    func bury(_ message: BusMessage, of record: TaskRecord, reason: String) async throws {
        try await bury(
            message, name: record.name, reason: reason, attempts: record.attempt,
            // The final version names the letter, so that whoever writes it again within two minutes stores nothing.
            id: "\(record.id)/\(record.attempt)/\(record.sequence)",
            headers: [
                HeaderName.taskID: record.id.description,
                HeaderName.errors: String(decoding: record.errorsJSON.serialized(), as: UTF8.self),
            ])
    }

    /// As ``bury(_:of:reason:)``, for a task whose end somebody else recorded, perhaps long ago.
    func buryIfMissing(_ message: BusMessage, of record: TaskRecord) async throws {
        let box = DeadLetterBox(bus: bus, subjects: subjects)
        let isThere = try await clock.persist { () throws(BusError) in
            try await box.holds(record.id, name: record.name, since: record.updatedAt)
        }
        if !isThere { try await bury(message, of: record, reason: record.message ?? "failed") }
    }

    /// Keeps a message of a queue that is no task among the dead letters. Tries until the bus takes it.
    func bury(
        malformed message: BusMessage, _ malformed: TaskMessage.Malformed, sequence: UInt64, storedAt: Timestamp,
        attempts: Int
    ) async throws {
        try await bury(
            message, name: malformed.name, reason: malformed.reason, attempts: attempts,
            id: "malformed/\(sequence)/\(storedAt)")
    }

    /// Keeps a message among the dead letters. Tries until the bus takes it.
    private func bury(
        _ message: BusMessage, name: String, reason: String, attempts: Int, id: String? = nil,
        headers: BusHeaders = [:]
    ) async throws {
        let deadLetters = deadLetters
        try await clock.persist { () throws(BusError) in
            do {
                try await deadLetters.record(
                    message, kind: .task, name: name, reason: reason, attempts: attempts, id: id, headers: headers)
            } catch let error as BusError {
                throw error
            } catch {
                throw BusError(.failed, "\(error)")
            }
        }
    }
}
