/// One thing that a server says, in NATS's client protocol.
///
/// The bytes that it points to belong to whoever has them read: they live until the parser is asked for the next one.
package enum CoreOperation {
    /// What the server is and wants, as JSON: first of all, and again when that changes.
    case information(UnsafeRawBufferPointer)
    case message(CoreMessage)
    case ping
    case pong
    case ok
    case error(UnsafeRawBufferPointer)
}

/// A message as it lies in the buffer from which it is read. Nothing of it may be kept beyond the call that it is given to.
package struct CoreMessage {
    /// The number under which its subscription was made.
    let subscription: Int
    package let subject: UnsafeRawBufferPointer
    /// Empty if no answer is expected.
    package let replyTo: UnsafeRawBufferPointer
    /// `NATS/1.0`, then lines of `name: value`, each ended by CR LF, the last one empty. Empty if there are none.
    package let headers: UnsafeRawBufferPointer
    package let payload: UnsafeRawBufferPointer

    /// As ``NATSMessage/status``.
    var status: Int? {
        // `NATS/1.0 404`; of most the line ends where the status would begin.
        guard payload.isEmpty, headers.count > 11, headers[8] == UInt8(ascii: " ") else { return nil }
        return Int(String(decoding: headers[9...11], as: UTF8.self))
    }
}

/// Why what a server sent is none of its protocol. The connection is of no use any more.
package enum CoreProtocolError: Error, Equatable, CustomStringConvertible {
    case unknownOperation
    /// An operation's words are too few, too many or no numbers.
    case malformed
    /// A line that does not end.
    case lineTooLong
    case payloadTooLarge(Int)
    /// The payload is not as long as was said.
    case unterminatedPayload

    package var description: String {
        switch self {
        case .unknownOperation: "it said something that no NATS server says"
        case .malformed: "an operation is malformed"
        case .lineTooLong: "a line has no end"
        case .payloadTooLarge(let size): "a message of \(size) bytes is larger than it may be"
        case .unterminatedPayload: "a message is not as long as was announced"
        }
    }
}
