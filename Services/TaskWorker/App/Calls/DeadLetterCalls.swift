internal import EventBus
internal import Events
internal import JSON
internal import TaskWorkerCore

/// `dead.list`, `dead.show`, `dead.replay` and `dead.purge`: what could not be handled, for administrators and backends.
struct DeadLetterCalls: Sendable {
    private static let limits = 1...200
    private static let defaultLimit: Int64 = 50
    /// Longer payloads do not fit into an answer.
    private static let maximumPayloadLength = 400 * 1024

    let parts: WorkerParts
    let submission: TaskSubmission

    private var box: DeadLetterBox { DeadLetterBox(bus: parts.bus, subjects: parts.subjects) }

    func list(_ call: RPCRequest) async throws -> JSONValue {
        try DeadLetterCalls.checkAccess(call)
        let name = try DeadLetterCalls.name(call)
        var before: UInt64?
        if let value = call.parameters["before"], !value.isNull { before = try DeadLetterCalls.sequence(value) }
        var limit = DeadLetterCalls.defaultLimit
        if let value = call.parameters["limit"], !value.isNull {
            guard let number = value.integerValue, number >= 1 else {
                throw RPCError(400, "limit must be a whole number from 1 to \(DeadLetterCalls.limits.upperBound)")
            }
            limit = min(number, Int64(DeadLetterCalls.limits.upperBound))
        }
        let letters = try await box.letters(name: name, before: before, limit: Int(limit))
        let page = letters.prefix(Int(limit))
        let next: JSONValue =
            letters.count > page.count ? page.last.map { .integer(Int64(clamping: $0.sequence)) } ?? .null : .null
        return ["letters": .array(page.map { .object($0.json) }), "next": next]
    }

    func show(_ call: RPCRequest) async throws -> JSONValue {
        try DeadLetterCalls.checkAccess(call)
        let letter = try await letter(call)
        var members = letter.json
        members["subject"] = letter.message.headers[HeaderName.originalSubject].map { .string($0) }
        members["errors"] =
            letter.message.headers[HeaderName.errors].flatMap { try? JSONValue(parsing: Array($0.utf8)) } ?? []
        if letter.isCut { members["payload_cut"] = true }
        if letter.message.payload.count > DeadLetterCalls.maximumPayloadLength {
            members["payload_omitted"] = true
        } else {
            members["payload"] =
                letter.payload ?? .string(String(decoding: letter.message.payload, as: UTF8.self))
        }
        return .object(members)
    }

    /// Repeats the task that died, and takes the letter out: what is still there is still to be dealt with. The new task's
    /// id follows from the letter, so that a call that is repeated since its answer was lost repeats nothing.
    func replay(_ call: RPCRequest) async throws -> JSONValue {
        try DeadLetterCalls.checkAccess(call)
        let letter = try await letter(call)
        let subject = letter.message.headers[HeaderName.originalSubject] ?? ""
        guard letter.isTask, let address = parts.subjects.task(ofSubject: subject) else {
            throw RPCError(409, "only tasks are repeated: publish the payload again on \(subject)")
        }
        guard !letter.isCut else {
            throw RPCError(409, "the letter holds a part of the task only, since that was too long; submit it anew")
        }
        var request: TaskRequest
        do {
            let payload = letter.message.payload
            request = try TaskRequest(json: payload.isEmpty ? [:] : JSONValue(parsing: payload), address: address)
        } catch {
            throw RPCError(409, "the letter is no task that could be run: \(letter.reason)")
        }
        let old = letter.taskID ?? .derived(storedAt: letter.storedAt, sequence: letter.sequence)
        request = request.repeated(old)
        request.id = .derived(from: "dead/\(letter.sequence)/\(old)", at: letter.storedAt)
        let id = try await submission.enqueue(request, headers: letter.message.headers)
        try await box.delete(letter.sequence)
        return ["task_id": .string(id.description)]
    }

    func purge(_ call: RPCRequest) async throws -> JSONValue {
        try DeadLetterCalls.checkAccess(call)
        let count = try await box.purge(name: try DeadLetterCalls.name(call))
        return ["purged": .integer(Int64(clamping: count))]
    }

    // MARK: Parameters

    private static func checkAccess(_ call: RPCRequest) throws(RPCError) {
        guard try TaskAccess(call.caller) == .all else {
            throw RPCError(403, "dead letters are for administrators: connect with the role admin")
        }
    }

    private func letter(_ call: RPCRequest) async throws -> DeadLetter {
        guard let value = call.parameters["sequence"] else {
            throw RPCError(400, "sequence must be the number of a letter, as dead.list gives it")
        }
        let sequence = try DeadLetterCalls.sequence(value)
        guard let letter = try await box.letter(sequence) else {
            throw RPCError(404, "there is no dead letter \(sequence): it was repeated or purged, or is too old")
        }
        return letter
    }

    private static func sequence(_ value: JSONValue) throws(RPCError) -> UInt64 {
        guard let number = value.integerValue, number > 0 else {
            throw RPCError(400, "a letter's sequence is a whole number, as dead.list gives it")
        }
        return UInt64(number)
    }

    private static func name(_ call: RPCRequest) throws(RPCError) -> String? {
        guard let value = call.parameters["name"], !value.isNull else { return nil }
        guard let name = value.stringValue, !name.isEmpty,
            !name.split(separator: ".", omittingEmptySubsequences: false).contains(where: \.isEmpty)
        else { throw RPCError(400, "name must be the name of a task or the type of an event") }
        return name
    }
}
