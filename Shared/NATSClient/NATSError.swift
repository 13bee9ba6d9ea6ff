internal import CNats

/// What went wrong between this client and NATS. Switch on ``code``; ``message`` is for people.
public struct NATSError: Error, Sendable, Equatable, CustomStringConvertible {
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Value: String {
            case notConnected, timeout, noResponders, cancelled, closed, conflict, notFound, payloadTooLarge,
                invalidArgument, permission, insecure, specificationMismatch, streamFull, failed
        }
        private let value: Value

        /// No server can be reached at the moment, or the buffer for that time is full.
        public static let notConnected = Code(value: .notConnected)
        /// No answer came in time. Whether the other side acted is unknown.
        public static let timeout = Code(value: .timeout)
        /// Nobody listens on the subject of a request.
        public static let noResponders = Code(value: .noResponders)
        /// The calling task was cancelled. Whether the other side acted is unknown.
        public static let cancelled = Code(value: .cancelled)
        /// The connection was closed by its owner.
        public static let closed = Code(value: .closed)
        /// An expected sequence is no longer the last.
        public static let conflict = Code(value: .conflict)
        /// No such stream, consumer, message or key.
        public static let notFound = Code(value: .notFound)
        /// Larger than the server or the stream allows.
        public static let payloadTooLarge = Code(value: .payloadTooLarge)
        /// A subject, name, header or option that is not allowed.
        public static let invalidArgument = Code(value: .invalidArgument)
        /// The server refuses this account the subject, or this user altogether.
        public static let permission = Code(value: .permission)
        /// There is no TLS with the server: one of both does not want it, or does not trust the other's certificate.
        public static let insecure = Code(value: .insecure)
        /// The server keeps a stream or consumer with another configuration than asked for.
        public static let specificationMismatch = Code(value: .specificationMismatch)
        /// A bounded stream that refuses new messages is full, or the server's storage is.
        public static let streamFull = Code(value: .streamFull)
        /// Anything else; the message says what.
        public static let failed = Code(value: .failed)

        public var description: String { value.rawValue }
    }

    public let code: Code
    public let message: String
    /// JetStream's own number (`err_code`), if the error is an answer of JetStream's.
    public let jetStreamCode: Int?

    public init(_ code: Code, _ message: String, jetStreamCode: Int? = nil) {
        self.code = code
        self.message = message
        self.jetStreamCode = jetStreamCode
    }

    public var description: String { "\(code): \(message)" }

    /// Equal by code: messages are for people.
    public static func == (left: NATSError, right: NATSError) -> Bool { left.code == right.code }
}

extension NATSError {
    static let cancelled = NATSError(.cancelled, "the calling task was cancelled")
    static let closed = NATSError(.closed, "the connection was closed")
    static let notConnected = NATSError(
        .notConnected, "no NATS server can be reached; the connection goes on trying, try again later")

    /// The one place that gives libnats's status codes a meaning.
    init(_ status: natsStatus, during call: String) {
        let code: Code =
            switch status {
            case NATS_TIMEOUT: .timeout
            case NATS_NO_RESPONDERS: .noResponders
            case NATS_NO_SERVER, NATS_IO_ERROR, NATS_STALE_CONNECTION, NATS_CONNECTION_DISCONNECTED,
                NATS_INSUFFICIENT_BUFFER, NATS_NOT_YET_CONNECTED, NATS_NO_SERVER_SUPPORT:
                .notConnected
            case NATS_CONNECTION_CLOSED, NATS_DRAINING: .closed
            case NATS_CONNECTION_AUTH_FAILED, NATS_NOT_PERMITTED: .permission
            case NATS_SSL_ERROR, NATS_SECURE_CONNECTION_WANTED, NATS_SECURE_CONNECTION_REQUIRED: .insecure
            case NATS_MAX_PAYLOAD: .payloadTooLarge
            case NATS_INVALID_ARG, NATS_INVALID_SUBJECT, NATS_INVALID_QUEUE_NAME, NATS_ADDRESS_MISSING:
                .invalidArgument
            default: .failed
            }
        let text = natsStatus_GetText(status).map { String(cString: $0) } ?? "status \(status.rawValue)"
        // Which certificate, and what about it, is known to nobody else.
        let reason = code == .insecure ? NATSError.lastReason(for: status) : nil
        self.init(code, "\(call): \(reason ?? text)")
    }

    /// What libnats says of the last error on this thread, if that is of this kind. Not for errors of which user names,
    /// passwords or payloads may be a part.
    static func lastReason(for status: natsStatus) -> String? {
        var last = NATS_OK
        guard let text = nats_GetLastError(&last), last == status else { return nil }
        // "(conn.c:733): SSL handshake error: …"
        return String(cString: text).replacing(#/^\([^)]*\): /#, with: "")
    }
}

/// Throws unless libnats's function `call` returned success.
func check(_ status: natsStatus, _ call: String) throws(NATSError) {
    guard status == NATS_OK else { throw NATSError(status, during: call) }
}
