internal import EventBus
internal import Events
internal import JSON
internal import TaskWorkerCore

/// Requests that are too long for the record that is written at every change: each beside its record, written once.
extension TaskStore {
    /// Keeps the request if its record does not hold it whole. To be called before the record is first written.
    func keep(_ request: TaskRequest, of record: TaskRecord) async throws(BusError) {
        guard record.request?.isAbridged == true else { return }
        do throws(BusError) {
            try await bucket.put(TaskStore.requestKey(record), request.json.serialized())
        } catch  where error.code == .payloadTooLarge {
            // It came in a message with shorter headers. The task runs all the same; it cannot be repeated by its id.
        }
    }

    /// What was asked for, whole; nil if that is not known any more.
    func request(of record: TaskRecord) async throws(BusError) -> TaskRequest? {
        guard let kept = record.request else { return nil }
        guard kept.isAbridged else { return kept.request }
        guard let entry = try await bucket.get(TaskStore.requestKey(record)),
            let json = try? JSONValue(parsing: entry.value)
        else { return nil }
        return try? TaskRequest(json: json)
    }

    private static func requestKey(_ record: TaskRecord) -> String {
        "request." + key(user: record.user, id: record.id).dropFirst("task.".count)
    }
}
