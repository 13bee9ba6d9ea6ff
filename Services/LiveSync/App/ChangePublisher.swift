package import EventBus
package import Events
internal import JSON
package import LiveSyncCore
package import Logging
internal import Metrics

/// Publishes recorded changes to the tables' channels, each exactly once and in order.
///
/// Each message is appended on the condition that the channel's last message is still the one that this publisher knows
/// of; otherwise it looks what the stream holds. So neither a publish whose outcome is unknown, nor a process that was killed before it could save its
/// position, nor a second process leads to a change that is there twice, however much later.
package actor ChangePublisher {
    private let bus: any EventBus
    private let subjects: Subjects
    private let schema: String
    private let maximumBytes: Int
    private let logger: Logger
    private let deadLetters: DeadLetters
    private let stream: TableStream
    private var database = ""
    private var ledgers: [String: PublicationLedger] = [:]

    /// Payloads are cut down to this if the server takes no larger ones.
    private static let minimumBytes = 1024

    /// - Parameter maximumBytes: of a message's payload.
    package init(bus: any EventBus, subjects: Subjects, schema: String, maximumBytes: Int, logger: Logger) {
        self.bus = bus
        self.subjects = subjects
        self.schema = schema
        self.maximumBytes = maximumBytes
        self.logger = logger
        stream = TableStream(bus: bus, subjects: subjects)
        deadLetters = DeadLetters(bus: bus, subjects: subjects)
    }

    // MARK: Taking up

    /// Compares a source's past with what the stream holds. If followers know another past, because the file was replaced
    /// or put back from a copy, the source begins anew.
    package func takeUp(_ source: some Source, _ opening: SourceOpening) async throws {
        database = opening.database
        ledgers = [:]
        var known: UInt64?
        for table in opening.tables {
            let ledger = try await retrying { try await self.lookUp(table) }
            ledgers[table] = ledger
            guard let origin = ledger.origin else { continue }
            if try await !agrees(origin, table: table, source, opening) {
                known = max(known ?? 0, origin.sequence)
            }
        }
        guard let known else { return }
        logger.warning(
            "the database is not the one whose changes were published last, or an older copy of it; telling its tables anew",
            metadata: ["source": "\(schema)"])
        // Numbers go on from the greatest that any follower has seen.
        let greatest = ledgers.values.compactMap(\.origin?.sequence).max() ?? known
        database = try await source.beginAnew(after: max(known, greatest)).database
    }

    /// Whether the change that the stream holds last is this database's.
    private func agrees(
        _ origin: PublicationLedger.Origin, table: String, _ source: some Source, _ opening: SourceOpening
    ) async throws -> Bool {
        guard origin.database == opening.database, origin.sequence <= opening.lastRecorded else { return false }
        // What was published before it was saved: another change may have got this number in the meantime.
        guard origin.sequence > opening.published, let recorded = try await source.change(origin.sequence) else {
            return true
        }
        let message = try await retrying { try await self.message(of: origin, table: table) }
        guard let message, let published = try? RowChange(json: JSONValue(parsing: message.payload)),
            case .change(let change, _) = encode(recorded)
        else { return true }
        return change.model == published.model && change.key == published.key && change.action == published.action
            && change.commitTime == published.commitTime
    }

    // MARK: Publishing

    /// Returns when the stream holds the change, or the dead letters do. Tries for as long as it takes.
    /// - Throws: `CancellationError`.
    package func publish(_ recorded: RecordedChange) async throws {
        let origin = PublicationLedger.Origin(database: database, sequence: recorded.sequence)
        var bytes = maximumBytes
        while true {
            let message: BusMessage
            switch encode(recorded, maximumBytes: bytes) {
            case .change(let change, let payload): message = try self.message(change, payload, origin, recorded.table)
            case .unusable(let reason): return try await bury(recorded, reason: reason)
            }
            if try await retrying({ try await self.append(message, origin, table: recorded.table) }) {
                Counter(label: "apus_livesync_changes_total", dimensions: [("source", schema)]).increment()
                return
            }
            // The server takes less than expected.
            guard bytes > ChangePublisher.minimumBytes else {
                return try await bury(recorded, reason: "the server takes no message as large as the change")
            }
            bytes /= 2
        }
    }

    private func encode(_ recorded: RecordedChange, maximumBytes: Int? = nil) -> ChangeEncoding.Outcome {
        ChangeEncoding.encode(recorded, schema: schema, maximumBytes: maximumBytes ?? self.maximumBytes)
    }

    private func message(
        _ change: RowChange, _ payload: [UInt8], _ origin: PublicationLedger.Origin, _ table: String
    ) throws -> BusMessage {
        var message = BusMessage(
            subject: subjects.channel(try channel(of: table)),
            headers: [HeaderName.event: RowChange.eventName, HeaderName.messageID: origin.messageID], payload: payload)
        message.headers.describe(
            CloudEvent(
                id: origin.messageID, source: "apus/livesync", type: RowChange.eventName, time: change.commitTime))
        return message
    }

    /// - Returns: false if the payload is too large.
    private func append(
        _ message: BusMessage, _ origin: PublicationLedger.Origin, table: String
    ) async throws -> Bool {
        while true {
            let ledger: PublicationLedger
            if let known = ledgers[table] { ledger = known } else { ledger = try await lookUp(table) }
            if ledger.holds(origin) {
                ledgers[table] = ledger
                return true
            }
            // Until the outcome is known there is no knowing what the stream holds.
            ledgers[table] = nil
            do throws(BusError) {
                let receipt = try await bus.append(message, expecting: .onSubject(ledger.lastOnSubject))
                if receipt.isDuplicate { continue }
                ledgers[table] = PublicationLedger(lastOnSubject: receipt.sequence, origin: origin)
                return true
            } catch {
                switch error.code {
                case .payloadTooLarge: return false
                case .noResponders: try await stream.ensure()
                case .conflict: break
                default: throw error
                }
                // Somebody else published there, or another process did so before us; what exactly, the stream tells.
                try await Task.sleep(for: .milliseconds(1))
            }
        }
    }

    private func bury(_ recorded: RecordedChange, reason: String) async throws {
        logger.error(
            "a change cannot be published and was put with the dead letters",
            metadata: ["table": "\(schema).\(recorded.table)", "change": "\(recorded.sequence)", "reason": "\(reason)"])
        Counter(label: "apus_livesync_dead_total", dimensions: [("source", schema)]).increment()
        let message = BusMessage(
            subject: (try? subjects.channel(channel(of: recorded.table))) ?? subjects.allChannels(in: "table"),
            headers: [HeaderName.messageID: "\(database):\(recorded.sequence)"],
            payload: recorded.rowText(limit: maximumBytes / 2))
        try await retrying {
            try await self.deadLetters.ensureStream()
            try await self.deadLetters.record(
                message, kind: .row, name: "\(self.schema).\(recorded.table)", reason: reason, attempts: 1)
        }
    }

    // MARK: The stream

    private func channel(of table: String) throws -> ChannelName {
        try ChannelName(namespace: "table", name: "\(schema).\(table)")
    }

    private func lookUp(_ table: String) async throws -> PublicationLedger {
        try await stream.ensure()
        let subject = subjects.channel(try channel(of: table))
        guard let last = try await bus.lastMessage(in: stream.name, subject: subject) else {
            return PublicationLedger(lastOnSubject: 0, origin: nil)
        }
        if let origin = ChangePublisher.origin(of: last) {
            return PublicationLedger(lastOnSubject: last.sequence, origin: origin)
        }
        // Somebody else publishes on the channel too: the last of a source is further back.
        var ledger = PublicationLedger(lastOnSubject: last.sequence, origin: nil)
        var after: UInt64 = 0
        while true {
            let page = try await bus.messages(in: stream.name, subject: subject, after: after, limit: 256)
            guard let end = page.last else { return ledger }
            for message in page { ledger.origin = ChangePublisher.origin(of: message) ?? ledger.origin }
            ledger.lastOnSubject = max(ledger.lastOnSubject, end.sequence)
            after = end.sequence
        }
    }

    private func message(of origin: PublicationLedger.Origin, table: String) async throws -> BusMessage? {
        let last = try await bus.lastMessage(in: stream.name, subject: subjects.channel(try channel(of: table)))
        return last.flatMap { ChangePublisher.origin(of: $0) == origin ? $0.message : nil }
    }

    private static func origin(of stored: StoredMessage) -> PublicationLedger.Origin? {
        guard stored.message.headers[HeaderName.event] == RowChange.eventName else { return nil }
        return stored.message.headers[HeaderName.messageID].flatMap { PublicationLedger.Origin(messageID: $0) }
    }

    /// Tries again, from 0.1 s to 2 s apart, for as long as the bus fails.
    private func retrying<Value: Sendable>(_ operation: () async throws -> Value) async throws -> Value {
        var delay = Duration.milliseconds(100)
        var told: BusError?
        while true {
            do {
                let value = try await operation()
                if told != nil { logger.info("publishing goes on", metadata: ["source": "\(schema)"]) }
                return value
            } catch let error as BusError {
                try Task.checkCancellation()
                if told != error {
                    logger.warning(
                        "changes cannot be published now; trying again",
                        metadata: ["source": "\(schema)", "error": "\(error)"])
                    told = error
                }
                Counter(label: "apus_livesync_publish_failures_total", dimensions: [("source", schema)]).increment()
            }
            try await Task.sleep(for: delay)
            delay = min(delay * 2, .seconds(2))
        }
    }
}

extension RecordedChange {
    /// What is known of the change as a JSON object, for people: rows as the texts that they were recorded as.
    fileprivate func rowText(limit: Int) -> [UInt8] {
        func text(_ row: RowText) -> JSONValue {
            switch row {
            case .none: .null
            case .tooLarge: "too large"
            case .text(let text): .string(String(text.prefix(limit / 6)))
            }
        }
        let json: JSONValue = [
            "table": .string(table), "action": .string(action), "key": .string(String(key.prefix(limit / 6))),
            "old": text(old), "new": text(new), "seq": .integer(Int64(clamping: sequence)), "at": .string(recordedAt),
        ]
        return json.serialized()
    }
}
