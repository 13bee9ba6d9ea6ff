public import Events

/// Keeps what cannot be handled, with the reason, so that somebody can look at it and send it again.
///
/// A dead letter is at `apus.dead.<kind>.<name>`: the original payload and headers, with ``HeaderName/reason``,
/// ``HeaderName/attempts`` and ``HeaderName/originalSubject``. The original's `Nats-Msg-Id` is kept as
/// ``originalMessageID``, and the letter gets its own: a message that is sent again and dies again within the stream's
/// duplicate window is a second letter, and only a repeated write of the same one is stored once.
public struct DeadLetters: Sendable {
    /// The header with the original's `Nats-Msg-Id`.
    public static let originalMessageID = "Apus-Message-Id"
    /// The header that says how many bytes the payload had, where it had to be cut for the letter to fit.
    public static let originalSize = "Apus-Original-Size"

    private let bus: any EventBus
    private let subjects: Subjects
    private let makeID: @Sendable () -> String

    public init(bus: any EventBus, subjects: Subjects) {
        self.init(bus: bus, subjects: subjects, makeID: { MicroService.makeID() })
    }

    init(bus: any EventBus, subjects: Subjects, makeID: @escaping @Sendable () -> String) {
        self.bus = bus
        self.subjects = subjects
        self.makeID = makeID
    }

    /// Makes the stream of dead letters if it is not there.
    public func ensureStream() async throws {
        try await bus.ensureStream(.deadLetters(subjects))
    }

    /// Keeps `delivery`, and returns when it is stored: only then may the original be acknowledged or terminated.
    ///
    /// - Parameters:
    ///   - name: what it was: the task's name, the event's type.
    ///   - reason: for people; control characters are replaced, and it is cut at 512 bytes.
    ///   - id: names this letter, so that writing it again within the stream's duplicate window stores nothing; one is made
    ///     if there is none.
    ///   - headers: what else the letter says; each value is cut at 32 KiB.
    /// - Throws: ``BusError`` if it could not be stored; leave the original unacknowledged then, so that it comes again.
    public func record(
        _ delivery: BusMessage, kind: Subjects.DeadLetterKind, name: String, reason: String, attempts: Int,
        id: String? = nil, headers more: BusHeaders = [:]
    ) async throws {
        var letter = BusMessage(
            subject: subject(kind, name: name), headers: headers(of: delivery), payload: delivery.payload)
        letter.headers[HeaderName.reason] = HeaderText.sanitized(reason)
        letter.headers[HeaderName.attempts] = String(attempts)
        letter.headers[HeaderName.originalSubject] = HeaderText.sanitized(delivery.subject)
        for (name, value) in more { letter.headers[name] = HeaderText.sanitized(value, limit: 32 * 1024) }
        letter.headers[HeaderName.messageID] = "dead-\(id ?? makeID())"
        do throws(BusError) {
            try await append(letter)
        } catch {
            guard error.code == .payloadTooLarge else { throw error }
            try await append(shortened(letter))
        }
    }

    /// Tries thrice while no answer comes; the letter's own id keeps it from being stored twice.
    private func append(_ letter: BusMessage, attempts: Int = 3) async throws(BusError) {
        let failure: BusError
        do throws(BusError) {
            try await bus.append(letter)
            return
        } catch {
            failure = error
        }
        guard failure.code == .timeout, attempts > 1, !Task.isCancelled else { throw failure }
        try await append(letter, attempts: attempts - 1)
    }

    /// The original may have filled a whole message, so that our headers no longer fit: better a part than nothing.
    private func shortened(_ letter: BusMessage) -> BusMessage {
        var short = letter
        short.headers[Self.originalSize] = String(letter.payload.count)
        short.payload = Array(letter.payload.prefix(letter.payload.count / 2))
        return short
    }

    private func subject(_ kind: Subjects.DeadLetterKind, name: String) -> String {
        // What died may have died of its name: whatever it is, the subject must be valid.
        let cut = HeaderText.sanitized(name, limit: 200)
        let hasEmptyToken = cut.split(separator: ".", omittingEmptySubsequences: false).contains(where: \.isEmpty)
        guard hasEmptyToken else { return subjects.dead(kind, name: cut) }
        return subjects.dead(kind, name: cut.isEmpty ? "unnamed" : cut.replacing(".", with: "_"))
    }

    /// The original's headers without those that tell the server what to do with a message.
    private func headers(of delivery: BusMessage) -> BusHeaders {
        var headers = BusHeaders()
        for (name, value) in delivery.headers where HeaderText.isName(name) && HeaderText.isValue(value) {
            guard !name.lowercased().hasPrefix("nats-") else { continue }
            headers.append(name, value)
        }
        headers[Self.originalMessageID] = delivery.headers[HeaderName.messageID].map { HeaderText.sanitized($0) }
        return headers
    }
}
