internal import Events

/// A stream of ``MemoryBus``: a value that decides, without clock, lock or effect.
///
/// It follows what nats-server 2.9 does, down to the order of its checks: duplicates first, then the expected sequence,
/// then the limits.
struct MemoryStream {
    private(set) var specification: StreamSpecification
    let epoch: String
    private(set) var lastSequence: UInt64 = 0
    private(set) var firstSequence: UInt64 = 1
    private var stored: [UInt64: StoredMessage] = [:]
    /// The sequences of each subject, oldest first.
    private var sequences: [String: [UInt64]] = [:]
    private var bytes: Int64 = 0
    private var seen: [String: Seen] = [:]
    /// The ids of `seen`, oldest first.
    private var seenOrder: [String] = []
    var consumers: [String: MemoryConsumer] = [:]

    private struct Seen {
        var sequence: UInt64
        var at: Timestamp
    }

    /// What became of a message.
    enum Outcome {
        /// Stored; `previous` is the sequence before it on its subject, 0 if none was kept.
        case stored(StoredMessage, previous: UInt64)
        case duplicate(of: UInt64)
        case refused(BusError)
    }

    init(_ specification: StreamSpecification, epoch: String) {
        self.specification = specification
        self.epoch = epoch
    }

    var state: StreamState {
        StreamState(
            epoch: epoch, firstSequence: firstSequence, lastSequence: lastSequence, messages: UInt64(stored.count))
    }

    func takes(_ subject: String) -> Bool {
        specification.subjects.contains { SubjectPattern.matches($0, subject) }
    }

    /// The last sequence on `subject`; 0 if there is none.
    func lastSequence(on subject: String) -> UInt64 { sequences[subject]?.last ?? 0 }

    // MARK: Writing

    mutating func store(_ message: BusMessage, expecting: ExpectedSequence?, now: Timestamp) -> Outcome {
        expire(now: now)
        let id = message.headers[HeaderName.messageID].flatMap { $0.isEmpty ? nil : $0 }
        if let id, let earlier = seen[id] { return .duplicate(of: earlier.sequence) }
        let previous = lastSequence(on: message.subject)
        if case .onSubject(let expected)? = expecting, expected != previous {
            return .refused(
                BusError(.conflict, "the last sequence on the subject is another than expected; read again"))
        }
        let size = MemoryStream.size(of: message)
        if let refusal = refusal(of: message.subject, size: size) { return .refused(refusal) }

        lastSequence += 1
        let kept = StoredMessage(
            message: BusMessage(subject: message.subject, headers: message.headers, payload: message.payload),
            sequence: lastSequence, storedAt: now)
        if stored.isEmpty { firstSequence = lastSequence }
        stored[lastSequence] = kept
        sequences[message.subject, default: []].append(lastSequence)
        bytes += size
        if let id {
            seen[id] = Seen(sequence: lastSequence, at: now)
            seenOrder.append(id)
        }
        for name in consumers.keys { consumers[name]?.noteStored(kept) }
        enforceLimits(subject: message.subject)
        return .stored(kept, previous: previous)
    }

    private func refusal(of subject: String, size: Int64) -> BusError? {
        guard specification.overflow == .refuseNewest else { return nil }
        // A subject at its own limit gives up its oldest message, so the stream does not grow.
        let replaces = isAtLimit(subject)
        if let limit = specification.maximumMessages, !replaces, Int64(stored.count) >= limit {
            return BusError(.streamFull, "the stream holds as many messages as it may; try again when some are done")
        }
        if let limit = specification.maximumBytes, !replaces, bytes + size > limit {
            return BusError(.streamFull, "the stream holds as many bytes as it may; try again when some are done")
        }
        return nil
    }

    private func isAtLimit(_ subject: String) -> Bool {
        guard let limit = specification.maximumMessagesPerSubject else { return false }
        return Int64(sequences[subject]?.count ?? 0) >= limit
    }

    private mutating func enforceLimits(subject: String) {
        if let limit = specification.maximumMessagesPerSubject {
            while let own = sequences[subject], Int64(own.count) > limit, let oldest = own.first { remove(oldest) }
        }
        if let limit = specification.maximumMessages { while Int64(stored.count) > limit { remove(firstSequence) } }
        if let limit = specification.maximumBytes { while bytes > limit, !stored.isEmpty { remove(firstSequence) } }
    }

    /// Changes what may be changed, and applies the new limits.
    mutating func update(_ new: StreamSpecification, now: Timestamp) throws(BusError) {
        guard new.retention == specification.retention else {
            throw BusError(
                .specificationMismatch,
                "stream \(new.name) exists with another retention, which cannot be changed; delete it first")
        }
        specification = new
        expire(now: now)
        for subject in Array(sequences.keys) { enforceLimits(subject: subject) }
    }

    // MARK: Removing

    /// Forgets what is older than the stream's age limit and ids that left the duplicate window.
    mutating func expire(now: Timestamp) {
        if let age = specification.maximumAge {
            while let oldest = stored[firstSequence], oldest.storedAt.duration(to: now) >= age { remove(firstSequence) }
        }
        let expired = seenOrder.prefix { id in
            guard let at = seen[id]?.at else { return true }
            return at.duration(to: now) >= specification.duplicateWindow
        }
        for id in expired { seen[id] = nil }
        seenOrder.removeFirst(expired.count)
    }

    mutating func remove(_ sequence: UInt64) {
        guard let gone = stored.removeValue(forKey: sequence) else { return }
        bytes -= MemoryStream.size(of: gone.message)
        if var own = sequences[gone.message.subject] {
            own.removeAll { $0 == sequence }
            sequences[gone.message.subject] = own.isEmpty ? nil : own
        }
        for name in consumers.keys { consumers[name]?.noteRemoved(gone) }
        guard sequence == firstSequence else { return }
        if stored.isEmpty {
            firstSequence = lastSequence + 1
        } else {
            repeat { firstSequence += 1 } while stored[firstSequence] == nil
        }
    }

    /// Removes the messages on `subject` (nil is all) except for the newest `keep`.
    mutating func purge(subject: String?, keep: Int) {
        let affected = matching(subject, after: 0, limit: .max)
        for message in affected.dropLast(max(0, keep)) { remove(message.sequence) }
    }

    // MARK: Reading

    subscript(sequence: UInt64) -> StoredMessage? { stored[sequence] }

    func last(on subject: String) -> StoredMessage? {
        if SubjectPattern.isSubject(subject) { return stored[lastSequence(on: subject)] }
        return sequences.filter { SubjectPattern.matches(subject, $0.key) }.compactMap(\.value.last).max()
            .flatMap { stored[$0] }
    }

    /// Messages on `subject` (nil is all) after a sequence, oldest first.
    func matching(_ subject: String?, after: UInt64, limit: Int) -> [StoredMessage] {
        guard limit > 0 else { return [] }
        if let subject, SubjectPattern.isSubject(subject) {
            return (sequences[subject] ?? []).lazy.filter { $0 > after }.prefix(limit).compactMap { stored[$0] }
        }
        var found: [StoredMessage] = []
        guard after < lastSequence, !stored.isEmpty else { return [] }
        for sequence in max(firstSequence, after + 1)...lastSequence {
            guard let message = stored[sequence] else { continue }
            if let subject, !SubjectPattern.matches(subject, message.message.subject) { continue }
            found.append(message)
            if found.count == limit { break }
        }
        return found
    }

    /// The subjects that have a message and match.
    func subjects(matching pattern: String) -> [String] {
        sequences.keys.filter { SubjectPattern.matches(pattern, $0) }
    }

    /// How many messages there are on each subject that matches.
    func counts(matching pattern: String) -> [String: UInt64] {
        sequences.filter { SubjectPattern.matches(pattern, $0.key) }.mapValues { UInt64($0.count) }
    }

    /// About what a server counts for a message: its parts and a fixed part per record.
    static func size(of message: BusMessage) -> Int64 {
        let headers = message.headers.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count + 4 }
        return Int64(message.subject.utf8.count + message.payload.count + headers + 30)
    }
}
