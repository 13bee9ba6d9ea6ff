internal import Deflate

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
/// Keeps nothing between messages; within one, what has come of it, at most the bound that is given with what comes.
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

    /// Bytes of a frame that is not complete yet.
    private var pending: [UInt8] = []
    /// A message whose last fragment has not come yet.
    private var fragments: Message?

    /// Takes what came and returns what is complete.
    /// - Parameter inflater: unpacks compressed messages; nil where they were not agreed on.
    /// - Throws: ``WebSocketViolation`` for what no valid client sends, and for a message that is too big, as soon as
    ///   its length is known.
    mutating func feed(
        _ input: Span<UInt8>, maximumMessageBytes: Int, inflater: MessageInflater?
    ) throws(WebSocketViolation) -> [WebSocketInput] {
        let bounds = Bounds(maximumMessageBytes: maximumMessageBytes, inflater: inflater)
        var inputs: [WebSocketInput] = []
        guard !pending.isEmpty else {
            let end = try read(input, bounds, &inputs)
            append(input.extracting(end...))
            return inputs
        }
        append(input)
        let bytes = pending
        pending = []
        let end = try read(bytes.span, bounds, &inputs)
        // Not copied while a frame is incomplete: a client that sends byte by byte would have all of it copied for each.
        pending = end == 0 ? bytes : Array(bytes[end...])
        return inputs
    }

    private mutating func append(_ bytes: Span<UInt8>) {
        bytes.withUnsafeBufferPointer { pending.append(contentsOf: $0) }
    }

    /// What a connection agreed on.
    private struct Bounds {
        let maximumMessageBytes: Int
        let inflater: MessageInflater?
    }

    /// Reads the frames that are complete.
    /// - Returns: where they end.
    private mutating func read(
        _ bytes: Span<UInt8>, _ bounds: Bounds, _ inputs: inout [WebSocketInput]
    ) throws(WebSocketViolation) -> Int {
        var position = 0
        while position < bytes.count {
            var end = position
            guard let header = try header(bytes, &end, bounds), bytes.count - end >= header.length else { break }
            let payload = WebSocketFrameParser.unmask(bytes.extracting(end..<(end + header.length)), header.mask)
            position = end + header.length
            if let input = try take(header, payload, bounds) { inputs.append(input) }
        }
        return position
    }

    /// Reads the header of a frame that begins at `position`, which is then behind it. Nil when it is not complete.
    private func header(
        _ bytes: Span<UInt8>, _ position: inout Int, _ bounds: Bounds
    ) throws(WebSocketViolation) -> Header? {
        guard bytes.count - position >= 2 else { return nil }
        let (first, second) = (bytes[position], bytes[position + 1])
        position += 2
        guard let opcode = Opcode(rawValue: first & 0x0F) else { throw .protocolError("an unknown opcode") }
        // The first reserved bit says that a message is compressed, and stands on its first frame (RFC 7692, section 6).
        let isCompressed = first & 0x40 != 0
        guard first & 0x30 == 0, !isCompressed || (bounds.inflater != nil && (opcode == .text || opcode == .binary))
        else { throw .protocolError("a reserved bit is set") }
        guard second & 0x80 != 0 else { throw .protocolError("a frame of a client must be masked") }
        let isFinal = first & 0x80 != 0
        var length = UInt64(second & 0x7F)
        if opcode.rawValue >= 8 {
            guard isFinal, length <= 125 else { throw .protocolError("a control frame is too long or in fragments") }
        }
        if length >= 126 {
            let size = length == 126 ? 2 : 8
            guard bytes.count - position >= size else { return nil }
            length = 0
            for index in position..<(position + size) { length = length << 8 | UInt64(bytes[index]) }
            position += size
        }
        let already = min(fragments?.bytes.count ?? 0, bounds.maximumMessageBytes)
        guard length <= UInt64(bounds.maximumMessageBytes - already) || opcode.rawValue >= 8 else { throw .tooBig }
        guard bytes.count - position >= 4 else { return nil }
        let mask = (bytes[position], bytes[position + 1], bytes[position + 2], bytes[position + 3])
        position += 4
        return Header(isFinal: isFinal, isCompressed: isCompressed, opcode: opcode, length: Int(length), mask: mask)
    }

    private static func unmask(_ masked: Span<UInt8>, _ mask: (UInt8, UInt8, UInt8, UInt8)) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: masked.count) { output, count in
            var index = 0
            while index + 4 <= masked.count {
                output[index] = masked[index] ^ mask.0
                output[index + 1] = masked[index + 1] ^ mask.1
                output[index + 2] = masked[index + 2] ^ mask.2
                output[index + 3] = masked[index + 3] ^ mask.3
                index += 4
            }
            if index < masked.count { output[index] = masked[index] ^ mask.0 }
            if index + 1 < masked.count { output[index + 1] = masked[index + 1] ^ mask.1 }
            if index + 2 < masked.count { output[index + 2] = masked[index + 2] ^ mask.2 }
            count = masked.count
        }
    }

    private mutating func take(
        _ header: Header, _ payload: [UInt8], _ bounds: Bounds
    ) throws(WebSocketViolation) -> WebSocketInput? {
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
            return try input(message, bounds)
        case .text, .binary:
            guard fragments == nil else { throw .protocolError("a message within another") }
            let message = Message(opcode: header.opcode, isCompressed: header.isCompressed, bytes: payload)
            guard header.isFinal else {
                fragments = message
                return nil
            }
            return try input(message, bounds)
        }
    }

    private func input(_ message: Message, _ bounds: Bounds) throws(WebSocketViolation) -> WebSocketInput {
        let bytes = message.isCompressed ? try unpack(message.bytes, bounds) : message.bytes
        guard message.opcode == .text else { return .binary(bytes) }
        guard WebSocketFrameParser.isUTF8(bytes) else { throw .notUTF8 }
        return .text(bytes)
    }

    private func unpack(_ bytes: [UInt8], _ bounds: Bounds) throws(WebSocketViolation) -> [UInt8] {
        guard let inflater = bounds.inflater else { throw .notCompressed }
        do throws(MessageInflater.Failure) {
            return try inflater.inflate(bytes, maximumBytes: bounds.maximumMessageBytes)
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
