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
    static func frames(_ first: [UInt8], _ others: [[UInt8]], compressor: LoopCompressor?) -> [UInt8] {
        var frames = frame(.text, first, compressor: compressor)
        guard !others.isEmpty else { return frames }
        frames.reserveCapacity(others.reduce(frames.count) { $0 + $1.count + 10 })
        for message in others { frames += frame(.text, message, compressor: compressor) }
        return frames
    }

    private static func frame(_ first: UInt8, _ payload: [UInt8]) -> [UInt8] {
        let header = Header(first, payload.count)
        var frame: [UInt8] = []
        frame.reserveCapacity(payload.count + header.count)
        for index in 0..<header.count { frame.append(header[index]) }
        frame.append(contentsOf: payload)
        return frame
    }

    // MARK: Headers

    /// How long the header of a frame is that carries `count` bytes.
    static func headerCount(_ count: Int) -> Int { count <= 125 ? 2 : count <= 65_535 ? 4 : 10 }

    static func header(_ kind: Kind, _ count: Int) -> Header { Header(kind.rawValue, count) }

    /// A frame's first bytes, without an allocation.
    struct Header {
        let count: Int
        private let first: UInt8
        private let length: UInt64

        fileprivate init(_ first: UInt8, _ length: Int) {
            self.first = first
            self.length = UInt64(length)
            count = WebSocketFrameWriter.headerCount(length)
        }

        subscript(index: Int) -> UInt8 {
            switch index {
            case 0: first
            case 1: count == 2 ? UInt8(truncatingIfNeeded: length) : count == 4 ? 126 : 127
            // Most significant byte first.
            default: UInt8(truncatingIfNeeded: length >> UInt64((count - 1 - index) * 8))
            }
        }
    }

    /// A close frame; the reason is cut to what fits.
    static func close(code: UInt16, reason: String) -> [UInt8] {
        var text = Substring(reason)
        while text.utf8.count > 123 { text.removeLast() }
        return frame(.close, [UInt8(code >> 8), UInt8(code & 0xFF)] + text.utf8)
    }
}
