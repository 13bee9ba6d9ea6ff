internal import EventBus
internal import Events
internal import Glibc
internal import NATSClient

// Between what NATS calls things and what the bus calls them.

extension BusError {
    init(_ error: NATSError) {
        let code: Code =
            switch error.code {
            case .notConnected: .notConnected
            // Who cancelled knows; to all others it is an answer that did not come.
            case .timeout, .cancelled: .timeout
            case .noResponders: .noResponders
            case .closed: .closed
            case .conflict: .conflict
            case .notFound: .notFound
            case .payloadTooLarge: .payloadTooLarge
            case .invalidArgument: .invalidArgument
            case .permission, .insecure: .permission
            case .specificationMismatch: .specificationMismatch
            case .streamFull: .streamFull
            default: .failed
            }
        self.init(code, error.message)
    }
}

/// Runs `body` with NATS's errors turned into the bus's.
func translated<Result>(_ body: () throws(NATSError) -> Result) throws(BusError) -> Result {
    do throws(NATSError) {
        return try body()
    } catch {
        throw BusError(error)
    }
}

/// As above, for what waits.
func translated<Result>(
    isolation: isolated (any Actor)? = #isolation, _ body: () async throws(NATSError) -> Result
) async throws(BusError) -> Result {
    do throws(NATSError) {
        return try await body()
    } catch {
        throw BusError(error)
    }
}

extension NATSMessage {
    init(_ message: BusMessage) {
        self.init(
            subject: message.subject, headers: NATSHeaders(fields: message.headers.fields), payload: message.payload,
            replyTo: message.replyTo)
    }
}

extension BusMessage {
    init(_ message: NATSMessage) {
        self.init(
            subject: message.subject, headers: BusHeaders(fields: message.headers.fields), payload: message.payload,
            replyTo: message.replyTo)
    }
}

extension BusMessage {
    /// Copies what is kept of it: payload and headers as they came, and the subject only if it is not the one that was
    /// subscribed to.
    /// - Parameter subscribed: nil leaves the subject empty.
    init(_ message: CoreMessage, _ subscribed: String?) {
        let subject =
            subscribed.map { $0.consists(of: message.subject) ? $0 : String(decoding: message.subject, as: UTF8.self) }
        // The first line says that headers follow, which their being there says as well.
        let lines = message.headers.firstIndex(of: UInt8(ascii: "\n")).map { message.headers[($0 + 1)...] }
        self.init(
            subject: subject ?? "",
            headers: lines.map { BusHeaders(lines: Array($0)) } ?? BusHeaders(), payload: Array(message.payload),
            replyTo: message.replyTo.isEmpty ? nil : String(decoding: message.replyTo, as: UTF8.self))
    }
}

extension String {
    /// Whether its UTF-8 is these bytes: one comparison of memory, since every message of a channel asks.
    fileprivate func consists(of bytes: UnsafeRawBufferPointer) -> Bool {
        let isSame = utf8.withContiguousStorageIfAvailable { text in
            guard text.count == bytes.count, let left = text.baseAddress, let right = bytes.baseAddress else {
                return text.isEmpty && bytes.isEmpty
            }
            return memcmp(left, right, bytes.count) == 0
        }
        return isSame ?? utf8.elementsEqual(bytes)
    }
}

extension NATSConnectionOptions {
    init(_ configuration: NATSConfiguration) {
        self.init(servers: configuration.servers, credentials: configuration.credentials, name: configuration.name)
        tls = TLSFiles(
            authorities: configuration.tls.authorities, certificate: configuration.tls.certificate,
            key: configuration.tls.key)
        reconnectBufferBytes = configuration.reconnectBufferBytes
        pendingMessages = configuration.pendingMessages
        makesManyRequests = configuration.makesManyRequests
    }
}

extension StoredMessage {
    init(_ message: StreamMessage) {
        self.init(
            message: BusMessage(message.message), sequence: message.sequence,
            storedAt: Timestamp(nanoseconds: message.storedAtNanoseconds))
    }
}

extension StreamConfiguration {
    init(_ specification: StreamSpecification) {
        self.init(name: specification.name, subjects: specification.subjects)
        retention = specification.retention == .workQueue ? .workQueue : .limits
        discard = specification.overflow == .refuseNewest ? .new : .old
        maximumMessages = specification.maximumMessages
        maximumMessagesPerSubject = specification.maximumMessagesPerSubject
        maximumBytes = specification.maximumBytes
        maximumAge = specification.maximumAge
        duplicateWindow = specification.duplicateWindow
        republish = specification.republish.map { Republish(source: $0.source, destination: $0.destination) }
        replicas = specification.replicas
    }
}

extension StreamState {
    init(_ information: StreamInformation) {
        self.init(
            epoch: StreamState.epoch(created: information.created), firstSequence: information.firstSequence,
            lastSequence: information.lastSequence, messages: information.messages)
    }

    /// A short token for the moment at which a stream was made: it differs between two lives of a stream and stays the
    /// same through everything else.
    static func epoch(created: String) -> String {
        guard let moment = Timestamp(rfc3339: created) else { return SubjectToken.encode(created) }
        return String(UInt64(bitPattern: moment.nanoseconds), radix: 36)
    }
}

extension ConsumerConfiguration {
    init(_ specification: ConsumerSpecification) {
        self.init(stream: specification.stream, name: specification.name)
        filter = specification.filter
        acknowledgementWait = specification.acknowledgementWait
        maximumDeliveries = specification.maximumDeliveries
        maximumUnacknowledged = specification.maximumUnacknowledged
    }
}

extension KeyValueEntry {
    init(_ entry: KeyValueStore.Entry) {
        let operation: Operation =
            switch entry.operation {
            case .put: .put
            case .delete: .delete
            case .purge: .purge
            }
        self.init(
            key: entry.key, value: entry.value, revision: entry.revision, operation: operation,
            writtenAt: Timestamp(nanoseconds: entry.writtenAtNanoseconds))
    }
}
