package import Events
package import JSON

/// A task's request as its record keeps it, so that the task can be shown, repeated and followed by others.
///
/// The record is written at every change, so a long request is kept beside it, once; the record then holds it without
/// arguments and chain.
package struct KeptRequest: Sendable, Hashable {
    /// The longest that stands in the record itself, in bytes of JSON.
    package static let limit = 4096

    /// As it was given, which is shared with whoever else has it. Its id is not part of what is kept.
    private let given: TaskRequest
    /// Whether arguments and chain are left out.
    package let isAbridged: Bool

    package init(_ request: TaskRequest) {
        isAbridged = KeptRequest.length(request) > KeptRequest.limit
        guard isAbridged else {
            given = request
            return
        }
        var kept = request
        (kept.arguments, kept.links.chain) = ([:], [])
        given = kept
    }

    /// Without its id, which is the record's.
    package var request: TaskRequest {
        guard given.id != nil else { return given }
        var request = given
        request.id = nil
        return request
    }

    package static func == (left: KeptRequest, right: KeptRequest) -> Bool {
        left.isAbridged == right.isAbridged && left.request == right.request
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(request)
        hasher.combine(isAbridged)
    }

    /// Reads what ``json`` wrote; nil if it is none.
    init?(json: JSONValue, isAbridged: Bool, name: String, queue: String, user: String?) {
        guard var members = json.objectValue else { return nil }
        members["name"] = .string(name)
        members["queue"] = .string(queue)
        members["user"] = user.map { .string($0) }
        guard let request = try? TaskRequest(json: .object(members)) else { return nil }
        given = request
        self.isAbridged = isAbridged
    }

    /// What the record does not say already.
    package var json: JSONValue {
        guard case .object(var members) = given.json else { return .null }
        for name in ["id", "name", "queue", "user"] { members[name] = nil }
        if given.arguments.isEmpty { members["args"] = nil }
        return .object(members)
    }

    /// Writes ``json``.
    package func write(to writer: inout JSONWriter) {
        // As nearly every task without arguments: nothing that the record does not say.
        if given == TaskRequest(id: given.id, name: given.name, user: given.user, queue: given.queue) {
            writer.beginObject()
            writer.endObject()
        } else {
            writer.write(json)
        }
    }

    private static func length(_ request: TaskRequest) -> Int {
        guard !request.arguments.isEmpty || !request.links.chain.isEmpty else { return 0 }
        var kept = request
        kept.id = nil
        return kept.json.serialized().count
    }
}

extension TaskRequest {
    /// The request of a task that repeats the task `id`: without the times that have passed and without the group, which
    /// has counted the other already.
    package func repeated(_ id: TaskID) -> TaskRequest {
        var request = self
        request.id = nil
        request.eta = nil
        request.expires = nil
        request.links.group = nil
        request.links.replayOf = id
        return request
    }
}
