internal import DequeModule

/// One piece of what waits to be written.
enum OutboundPiece {
    /// Goes out as it is.
    case bytes([UInt8])
    /// Goes out as a text frame. Its header is made when it is written, so that the message needs no copy of its own for
    /// each who gets it.
    case text([UInt8])

    /// How many bytes it comes to.
    var count: Int {
        switch self {
        case .bytes(let bytes): bytes.count
        case .text(let message): WebSocketFrameWriter.headerCount(message.count) + message.count
        }
    }

    fileprivate var headerCount: Int {
        switch self {
        case .bytes: 0
        case .text(let message): WebSocketFrameWriter.headerCount(message.count)
        }
    }

    fileprivate var body: [UInt8] {
        switch self {
        case .bytes(let bytes), .text(let bytes): bytes
        }
    }

    /// Copies what follows its first `offset` bytes to the beginning of `buffer`, as much as fits.
    /// - Returns: how many bytes.
    fileprivate func copy(from offset: Int, to buffer: UnsafeMutableRawBufferPointer) -> Int {
        var written = 0
        var start = offset
        if case .text(let message) = self {
            let header = WebSocketFrameWriter.header(.text, message.count)
            while start < header.count, written < buffer.count {
                buffer[written] = header[start]
                written += 1
                start += 1
            }
            start -= header.count
        }
        guard start >= 0 else { return written }
        return body.withUnsafeBytes { bytes in
            let length = min(bytes.count - start, buffer.count - written)
            UnsafeMutableRawBufferPointer(rebasing: buffer[written...])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[start..<(start + length)]))
            return written + length
        }
    }
}

/// What waits to be written to a connection, front to back. A single piece, which is what most have, needs no memory here.
struct OutboundQueue {
    private var first: OutboundPiece?
    private var others = Deque<OutboundPiece>()
    /// How much of the first piece has been written.
    private var offset = 0
    /// How many bytes wait.
    private(set) var count = 0

    var isEmpty: Bool { first == nil }
    var isSingle: Bool { first != nil && others.isEmpty }

    mutating func append(_ piece: OutboundPiece) {
        count += piece.count
        if first == nil { first = piece } else { others.append(piece) }
    }

    /// Puts a piece before all others, of which nothing has been written.
    mutating func prepend(_ piece: OutboundPiece) {
        count += piece.count
        if let first { others.prepend(first) }
        first = piece
    }

    mutating func removeAll() { self = OutboundQueue() }

    /// So many bytes have been written.
    mutating func consume(_ written: Int) {
        count -= written
        var remaining = written
        while remaining > 0, let piece = first {
            let length = piece.count - offset
            guard remaining >= length else {
                offset += remaining
                return
            }
            remaining -= length
            offset = 0
            first = others.popFirst()
        }
    }

    /// Gives `body` the rest of the first piece where it lies, if that is all there is or at least `minimum` bytes.
    /// - Returns: nil if it must be gathered.
    func withFront<Value>(atLeast minimum: Int, _ body: (UnsafeRawBufferPointer) -> Value) -> Value? {
        guard let first else { return nil }
        let start = offset - first.headerCount
        guard start >= 0 else { return nil }
        let bytes = first.body
        guard others.isEmpty || bytes.count - start >= minimum else { return nil }
        return bytes.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[start...])) }
    }

    /// Copies what waits to the beginning of `buffer`, as much as fits.
    /// - Returns: how many bytes.
    func gather(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        guard let first else { return 0 }
        var count = first.copy(from: offset, to: buffer)
        for piece in others {
            guard count < buffer.count else { break }
            count += piece.copy(from: 0, to: UnsafeMutableRawBufferPointer(rebasing: buffer[count...]))
        }
        return count
    }
}
