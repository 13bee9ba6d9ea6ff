internal import Events
package import JSON

extension TaskRecord {
    /// The record as it stands in the bucket: the status' members and what only workers need.
    package var json: JSONValue {
        guard case .object(var members) = status.json else { return .null }
        if handedBack > 0 { members["handed_back"] = .integer(Int64(handedBack)) }
        members["due"] = due.map { .string($0.description) }
        members["slot"] = slot.map { .string($0.description) }
        members["stream_sequence"] = streamSequence.map { .integer(Int64(clamping: $0)) }
        members["delivery"] = delivery.map { .integer(Int64($0)) }
        members["worker"] = worker.map { .string($0) }
        if !errors.isEmpty { members["errors"] = errorsJSON }
        members["started_at"] = startedAt.map { .string($0.description) }
        if isToldAtOnce { members["told_at_once"] = true }
        if let request {
            members["request"] = request.json
            if request.isAbridged { members["request_abridged"] = true }
        }
        return .object(members)
    }

    /// The text of ``json``, written without making that first.
    package func serialized() -> [UInt8] {
        var writer = JSONWriter(reserving: 768)
        writer.beginObject()
        status.writeMembers(to: &writer)
        if handedBack > 0 { writer.member("handed_back", handedBack) }
        if let due { writer.member("due", due.description) }
        if let slot { writer.member("slot", slot.description) }
        if let streamSequence { writer.member("stream_sequence", Int64(clamping: streamSequence)) }
        if let delivery { writer.member("delivery", delivery) }
        if let worker { writer.member("worker", worker) }
        if !errors.isEmpty { writer.member("errors", errorsJSON) }
        if let startedAt { writer.member("started_at", startedAt.description) }
        if isToldAtOnce { writer.member("told_at_once", true) }
        if let request {
            writer.name("request")
            request.write(to: &writer)
            if request.isAbridged { writer.member("request_abridged", true) }
        }
        writer.endObject()
        return writer.finish()
    }

    /// What each attempt failed of, oldest first.
    package var errorsJSON: JSONValue {
        .array(
            errors.map { error in
                [
                    "attempt": .integer(Int64(error.attempt)), "message": .string(error.message),
                    "at": .string(error.at.description),
                ]
            })
    }

    /// Reads a record.
    /// - Returns: nil if it is none, for instance since somebody else wrote to the bucket.
    package init?(json: JSONValue) {
        guard let status = TaskStatus(json: json), let queue = status.queue,
            let maximumAttempts = status.maximumAttempts, let submittedAt = status.submittedAt,
            let updatedAt = status.updatedAt, (0...Int(Int32.max)).contains(status.attempt),
            (0...Int(Int32.max)).contains(status.sequence)
        else { return nil }
        self.init(
            Content(
                id: status.id, name: status.name, queue: queue, user: status.user, maximumAttempts: maximumAttempts,
                submittedAt: submittedAt, updatedAt: updatedAt, state: status.state, progress: status.progress,
                attempt: status.attempt, sequence: status.sequence, message: status.message, result: status.result,
                handedBack: json["handed_back"]?.integerValue.flatMap(Int.init(exactly:)).map { max(0, $0) } ?? 0,
                due: json["due"]?.stringValue.flatMap(Timestamp.init(rfc3339:)),
                slot: json["slot"]?.stringValue.flatMap(Timestamp.init(rfc3339:)),
                streamSequence: json["stream_sequence"]?.integerValue.flatMap(UInt64.init(exactly:)),
                delivery: json["delivery"]?.integerValue.flatMap(Int.init(exactly:)),
                worker: json["worker"]?.stringValue,
                errors: (json["errors"]?.arrayValue ?? []).compactMap(AttemptError.init(json:)),
                startedAt: json["started_at"]?.stringValue.flatMap(Timestamp.init(rfc3339:)),
                isToldAtOnce: json["told_at_once"] == true,
                request: json["request"].flatMap {
                    KeptRequest(
                        json: $0, isAbridged: json["request_abridged"] == true, name: status.name, queue: queue,
                        user: status.user)
                }))
    }
}

extension TaskRecord.AttemptError {
    /// nil if it is none.
    fileprivate init?(json: JSONValue) {
        guard let attempt = json["attempt"]?.integerValue.flatMap(Int.init(exactly:)),
            let message = json["message"]?.stringValue,
            let at = json["at"]?.stringValue.flatMap(Timestamp.init(rfc3339:))
        else { return nil }
        self.init(attempt: attempt, message: message, at: at)
    }
}
