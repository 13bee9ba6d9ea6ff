internal import EventBus
internal import Events
internal import JSON
internal import TaskWorkerCore

/// Unique keys: each is an entry that names the task that holds it. Nobody gives a key back: one whose holder's record is
/// final is free.
extension TaskStore {
    /// Claims the request's unique key for the task `id`.
    /// - Returns: the unfinished task that holds it; nil if the key is ours now, or the request has none.
    func claim(_ request: TaskRequest, for id: TaskID, now: Timestamp) async throws(BusError) -> TaskID? {
        guard let unique = request.links.unique else { return nil }
        let key = TaskStore.uniqueKey(unique, user: request.user)
        while true {
            let entry = try await bucket.get(key)
            let claim = entry.flatMap(TaskStore.claim)
            var record: TaskRecord?
            if let claim, claim.holder != id {
                record = try await slot(user: request.user, id: claim.holder).record
            }
            switch UniqueClaim.answer(to: id, claim: claim, record: record, now: now) {
            case .ours: return nil
            case .held(let holder): return holder
            case .free:
                let value: JSONValue = ["task_id": .string(id.description), "at": .string(now.description)]
                do throws(BusError) {
                    try await bucket.update(key, value.serialized(), revision: entry?.revision)
                    return nil
                } catch {
                    // Somebody else was faster, or the answer was lost: what is there now decides.
                    guard error.code == .conflict else { throw error }
                }
            }
        }
    }

    /// Gives back the key of a task that could not be stored, unless another has it by now.
    func release(_ request: TaskRequest, by id: TaskID, now: Timestamp) async throws(BusError) {
        guard let unique = request.links.unique else { return }
        let key = TaskStore.uniqueKey(unique, user: request.user)
        guard let entry = try await bucket.get(key), TaskStore.claim(entry)?.holder == id else { return }
        // A claim so old, without a record, is nobody's.
        let past = now.advanced(by: .zero - UniqueClaim.grace)
        let value: JSONValue = ["task_id": .string(id.description), "at": .string(past.description)]
        try await bucket.update(key, value.serialized(), revision: entry.revision)
    }

    private static func claim(_ entry: KeyValueEntry) -> UniqueClaim? {
        guard let json = try? JSONValue(parsing: entry.value),
            let holder = json["task_id"]?.stringValue.flatMap(TaskID.init),
            let moment = json["at"]?.stringValue.flatMap(Timestamp.init(rfc3339:))
        else { return nil }
        return UniqueClaim(holder: holder, claimedAt: moment)
    }

    private static func uniqueKey(_ unique: String, user: String?) -> String {
        "unique.\(user.map(token) ?? "=").\(token(unique))"
    }
}
