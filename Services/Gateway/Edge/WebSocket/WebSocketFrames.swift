internal import Deflate
internal import NIOCore

/// What a client sent on a WebSocket, whole messages and control frames.
enum WebSocketInput: Equatable {
    case text([UInt8])
    case binary([UInt8])
    case ping([UInt8])
    case pong
    /// Nil when the frame had no code.
    case close(code: UInt16?)
}

/// Why a WebSocket must be closed; the code is that of RFC 6455, section 7.4.1.
struct WebSocketViolation: Error, Equatable {
    let code: UInt16
    let reason: String

    static func protocolError(_ reason: String) -> WebSocketViolation { WebSocketViolation(code: 1002, reason: reason) }
    static let notUTF8 = WebSocketViolation(code: 1007, reason: "text is not UTF-8")
    static let notCompressed = WebSocketViolation(code: 1007, reason: "a message is not compressed as it says")
    static let tooBig = WebSocketViolation(code: 1009, reason: "message too big")
}

/// Takes the bytes that a client sends after the handshake apart into messages (RFC 6455, section 5).
///
/// Keeps nothing between messages; within one, what has come of it, at most `maximumMessageBytes`.
struct WebSocketFrameParser {
    private enum Opcode: UInt8 {
        case continuation = 0
        case text = 1
        case binary = 2
        case close = 8
        case ping = 9
        case pong = 10
    }

    private struct Header {
        var isFinal: Bool
        var isCompressed: Bool
        var opcode: Opcode
        var length: Int
        var mask: (UInt8, UInt8, UInt8, UInt8)
    }

    private struct Message {
        var opcode: Opcode
        var isCompressed: Bool
        var bytes: [UInt8]
    }

    private let maximumMessageBytes: Int
    /// Unpacks compressed messages; nil where they were not agreed on.
    private let inflater: MessageInflater?
    /// Bytes of a frame that is not complete yet.
    private var pending: ByteBuffer?
    /// A message whose last fragment has not come yet.
    private var fragments: Message?

    init(maximumMessageBytes: Int, inflater: MessageInflater? = nil) {
        self.maximumMessageBytes = maximumMessageBytes
        self.inflater = inflater
    }

    /// Takes what came and returns what is complete.
    /// - Throws: ``WebSocketViolation`` for what no valid client sends, and for a message that is too big, as soon as
    ///   its length is known.
    mutating func feed(_ input: ByteBuffer) throws(WebSocketViolation) -> [WebSocketInput] {
        var buffer = input
        if var earlier = pending {
            earlier.writeBuffer(&buffer)
            buffer = earlier
            pending = nil
        }
        var inputs: [WebSocketInput] = []
        while buffer.readableBytes > 0 {
            let start = buffer.readerIndex
            guard let header = try header(&buffer), buffer.readableBytes >= header.length else {
                buffer.moveReaderIndex(to: start)
                pending = buffer.slice()
                break
            }
            let payload = WebSocketFrameParser.unmask(&buffer, header)
            if let input = try take(header, payload) { inputs.append(input) }
        }
        return inputs
    }

    /// Nil when it is not complete.
    private func header(_ buffer: inout ByteBuffer) throws(WebSocketViolation) -> Header? {
        guard let (first, second) = buffer.readMultipleIntegers(as: (UInt8, UInt8).self) else { return nil }
        guard let opcode = Opcode(rawValue: first & 0x0F) else { throw .protocolError("an unknown opcode") }
        // The first reserved bit says that a message is compressed, and stands on its first frame (RFC 7692, section 6).
        let isCompressed = first & 0x40 != 0
        guard first & 0x30 == 0, !isCompressed || (inflater != nil && (opcode == .text || opcode == .binary)) else {
            throw .protocolError("a reserved bit is set")
        }
        guard second & 0x80 != 0 else { throw .protocolError("a frame of a client must be masked") }
        let isFinal = first & 0x80 != 0
        var length = UInt64(second & 0x7F)
        if opcode.rawValue >= 8 {
            guard isFinal, length <= 125 else { throw .protocolError("a control frame is too long or in fragments") }
        }
        if length == 126 {
            guard let extended = buffer.readInteger(as: UInt16.self) else { return nil }
            length = UInt64(extended)
        } else if length == 127 {
            guard let extended = buffer.readInteger(as: UInt64.self) else { return nil }
            length = extended
        }
        let already = fragments?.bytes.count ?? 0
        guard length <= UInt64(maximumMessageBytes - min(already, maximumMessageBytes)) || opcode.rawValue >= 8 else {
            throw .tooBig
        }
        guard let mask = buffer.readMultipleIntegers(as: (UInt8, UInt8, UInt8, UInt8).self) else { return nil }
        return Header(isFinal: isFinal, isCompressed: isCompressed, opcode: opcode, length: Int(length), mask: mask)
    }

    private static func unmask(_ buffer: inout ByteBuffer, _ header: Header) -> [UInt8] {
        guard header.length > 0 else { return [] }
        let (a, b, c, d) = header.mask
        return buffer.readWithUnsafeReadableBytes { raw in
            let payload = [UInt8](unsafeUninitializedCapacity: header.length) { output, count in
                var index = 0
                while index + 4 <= header.length {
                    output[index] = raw[index] ^ a
                    output[index + 1] = raw[index + 1] ^ b
                    output[index + 2] = raw[index + 2] ^ c
                    output[index + 3] = raw[index + 3] ^ d
                    index += 4
                }
                let mask = [a, b, c, d]
                while index < header.length {
                    output[index] = raw[index] ^ mask[index & 3]
                    index += 1
                }
                count = header.length
            }
            return (header.length, payload)
        }
    }

    private mutating func take(_ header: Header, _ payload: [UInt8]) throws(WebSocketViolation) -> WebSocketInput? {
        switch header.opcode {
        case .ping: return .ping(payload)
        case .pong: return .pong
        case .close: return try WebSocketFrameParser.close(payload)
        case .continuation:
            guard var message = fragments else { throw .protocolError("a continuation of nothing") }
            message.bytes.append(contentsOf: payload)
            fragments = message
            guard header.isFinal else { return nil }
            fragments = nil
            return try input(message)
        case .text, .binary:
            guard fragments == nil else { throw .protocolError("a message within another") }
            let message = Message(opcode: header.opcode, isCompressed: header.isCompressed, bytes: payload)
            guard header.isFinal else {
                fragments = message
                return nil
            }
            return try input(message)
        }
    }

    private func input(_ message: Message) throws(WebSocketViolation) -> WebSocketInput {
        let bytes = message.isCompressed ? try unpack(message.bytes) : message.bytes
        guard message.opcode == .text else { return .binary(bytes) }
        guard WebSocketFrameParser.isUTF8(bytes) else { throw .notUTF8 }
        return .text(bytes)
    }

    private func unpack(_ bytes: [UInt8]) throws(WebSocketViolation) -> [UInt8] {
        guard let inflater else { throw .notCompressed }
        do throws(MessageInflater.Failure) {
            return try inflater.inflate(bytes, maximumBytes: maximumMessageBytes)
        } catch {
            throw error == .tooBig ? .tooBig : .notCompressed
        }
    }

    private static func isUTF8(_ bytes: [UInt8]) -> Bool {
        bytes.allSatisfy { $0 < 0x80 } || String(validating: bytes, as: UTF8.self) != nil
    }

    private static func close(_ payload: [UInt8]) throws(WebSocketViolation) -> WebSocketInput {
        guard !payload.isEmpty else { return .close(code: nil) }
        guard payload.count >= 2 else { throw .protocolError("a close frame with half a code") }
        let code = UInt16(payload[0]) << 8 | UInt16(payload[1])
        switch code {
        case 1000...1003, 1007...1014, 3000...4999: break
        default: throw .protocolError("a close code that must not be sent")
        }
        guard isUTF8(Array(payload[2...])) else { throw .notUTF8 }
        return .close(code: code)
    }
}

/// Writes the frames that a server sends: final and unmasked.
enum WebSocketFrameWriter {
    enum Kind: UInt8 {
        case text = 0x81
        case binary = 0x82
        case close = 0x88
        case ping = 0x89
        case pong = 0x8A
    }

    static func frame(_ kind: Kind, _ payload: [UInt8], _ allocator: ByteBufferAllocator) -> ByteBuffer {
        frame(kind.rawValue, payload, allocator)
    }

    /// A data frame whose message is compressed if `compressor` makes it smaller; without one it is not.
    static func frame(
        _ kind: Kind, _ message: [UInt8], compressor: LoopCompressor?, _ allocator: ByteBufferAllocator
    ) -> ByteBuffer {
        guard let compressed = compressor?.deflate(message) else { return frame(kind.rawValue, message, allocator) }
        return frame(kind.rawValue | 0x40, compressed, allocator)
    }

    private static func frame(_ first: UInt8, _ payload: [UInt8], _ allocator: ByteBufferAllocator) -> ByteBuffer {
        var buffer = allocator.buffer(capacity: payload.count + 10)
        buffer.writeInteger(first)
        switch payload.count {
        case 0...125: buffer.writeInteger(UInt8(payload.count))
        case 126...65_535:
            buffer.writeInteger(UInt8(126))
            buffer.writeInteger(UInt16(payload.count))
        default:
            buffer.writeInteger(UInt8(127))
            buffer.writeInteger(UInt64(payload.count))
        }
        buffer.writeBytes(payload)
        return buffer
    }

    /// A close frame; the reason is cut to what fits.
    static func close(code: UInt16, reason: String, _ allocator: ByteBufferAllocator) -> ByteBuffer {
        var text = Substring(reason)
        while text.utf8.count > 123 { text.removeLast() }
        return frame(.close, [UInt8(code >> 8), UInt8(code & 0xFF)] + text.utf8, allocator)
    }
}
