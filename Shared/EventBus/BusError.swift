/// What went wrong on the bus. Switch on ``code``; ``message`` is for people and names what to do, without payloads or secrets.
public struct BusError: Error, Sendable, Equatable, CustomStringConvertible {
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Value: String {
            case notConnected, timeout, noResponders, conflict, notFound, payloadTooLarge, invalidArgument, permission,
                specificationMismatch, streamFull, closed, failed
        }
        private let value: Value

        /// No server can be reached at the moment; the connection goes on trying.
        public static let notConnected = Code(value: .notConnected)
        /// No answer came in time. Whether the other side acted is unknown.
        public static let timeout = Code(value: .timeout)
        /// Nobody listens on the subject of a request, or no stream takes messages published to it.
        public static let noResponders = Code(value: .noResponders)
        /// Something else was written first: an expected sequence or revision is no longer the last.
        public static let conflict = Code(value: .conflict)
        /// No such stream, consumer, message or key.
        public static let notFound = Code(value: .notFound)
        /// Larger than the server or the stream allows.
        public static let payloadTooLarge = Code(value: .payloadTooLarge)
        /// A subject, name or option that is not allowed.
        public static let invalidArgument = Code(value: .invalidArgument)
        /// The server refuses this account the subject.
        public static let permission = Code(value: .permission)
        /// The server keeps a stream, consumer or bucket with another configuration than asked for.
        public static let specificationMismatch = Code(value: .specificationMismatch)
        /// A bounded stream that refuses new messages is full.
        public static let streamFull = Code(value: .streamFull)
        /// The bus was closed.
        public static let closed = Code(value: .closed)
        /// Anything else; the message says what.
        public static let failed = Code(value: .failed)

        public var description: String { value.rawValue }
    }

    public let code: Code
    public let message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// Whether the same call may succeed later without any change.
    public var isRetryable: Bool {
        switch code {
        case .notConnected, .timeout, .noResponders, .streamFull: true
        default: false
        }
    }

    public var description: String { "\(code): \(message)" }

    /// Equal by code: messages are for people.
    public static func == (left: BusError, right: BusError) -> Bool { left.code == right.code }
}
