internal import Deflate

/// Writes the frames that a server sends: final and unmasked.
enum WebSocketFrameWriter {
    enum Kind: UInt8 {
        case text = 0x81
        case binary = 0x82
        case close = 0x88
        case ping = 0x89
        case pong = 0x8A
    }

    static func frame(_ kind: Kind, _ payload: [UInt8]) -> [UInt8] { frame(kind.rawValue, payload) }

    /// A data frame whose message is compressed if `compressor` makes it smaller; without one it is not.
    static func frame(_ kind: Kind, _ message: [UInt8], compressor: LoopCompressor?) -> [UInt8] {
        guard let compressed = compressor?.deflate(message) else { return frame(kind.rawValue, message) }
        return frame(kind.rawValue | 0x40, compressed)
    }

    /// Text frames one after the other, as one piece.
    static func frames(_ messages: [[UInt8]], compressor: LoopCompressor?) -> [UInt8] {
        if messages.count == 1 { return frame(.text, messages[0], compressor: compressor) }
        var frames: [UInt8] = []
        frames.reserveCapacity(messages.reduce(0) { $0 + $1.count + 10 })
        for message in messages { frames += frame(.text, message, compressor: compressor) }
        return frames
    }

    private static func frame(_ first: UInt8, _ payload: [UInt8]) -> [UInt8] {
        var frame: [UInt8] = []
        frame.reserveCapacity(payload.count + 10)
        frame.append(first)
        switch payload.count {
        case 0...125: frame.append(UInt8(payload.count))
        case 126...65_535:
            frame.append(126)
            append(payload.count, bytes: 2, to: &frame)
        default:
            frame.append(127)
            append(payload.count, bytes: 8, to: &frame)
        }
        frame.append(contentsOf: payload)
        return frame
    }

    /// The length, most significant byte first.
    private static func append(_ length: Int, bytes: Int, to frame: inout [UInt8]) {
        for shift in stride(from: (bytes - 1) * 8, through: 0, by: -8) {
            frame.append(UInt8(truncatingIfNeeded: length >> shift))
        }
    }

    /// A close frame; the reason is cut to what fits.
    static func close(code: UInt16, reason: String) -> [UInt8] {
        var text = Substring(reason)
        while text.utf8.count > 123 { text.removeLast() }
        return frame(.close, [UInt8(code >> 8), UInt8(code & 0xFF)] + text.utf8)
    }
}
