internal import CZlib

/// Takes messages of WebSocket's permessage-deflate apart (RFC 7692, section 7.2.2), each by itself.
///
/// Keeps zlib's memory, about 40 kB, from one message to the next, so one serves a whole thread. Belongs to that thread.
public final class MessageInflater {
    /// Why a message cannot be had.
    public enum Failure: Error, Equatable {
        /// The bytes are not raw deflate.
        case malformed
        /// It is larger than the caller takes. Nothing beyond the bound was unpacked.
        case tooBig
    }

    /// What ends a flush; it is not sent.
    static let tail: [UInt8] = [0x00, 0x00, 0xFF, 0xFF]

    private let stream: UnsafeMutablePointer<z_stream>

    /// - Returns: nil when there is no memory for it.
    public init?() {
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        guard inflateInit2_(stream, -MAX_WBITS, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
            stream.deallocate()
            return nil
        }
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
    }

    /// - Parameter maximumBytes: how large the message may be.
    public func inflate(_ compressed: [UInt8], maximumBytes: Int) throws(Failure) -> [UInt8] {
        guard inflateReset(stream) == Z_OK else { throw .malformed }
        var message: [UInt8] = []
        var isEnded = false
        for part in [compressed, MessageInflater.tail] where !isEnded {
            isEnded = try take(part, into: &message, maximumBytes)
        }
        return message
    }

    /// - Returns: whether the stream said that it ends; what follows is no part of it.
    private func take(_ part: [UInt8], into message: inout [UInt8], _ maximumBytes: Int) throws(Failure) -> Bool {
        guard let size = uInt(exactly: part.count) else { throw .tooBig }
        var consumed = 0
        while true {
            // One byte more than may be, so that a message of exactly the maximum is told from a larger one.
            let room = min(MessageInflater.pieceBytes, maximumBytes + 1 - message.count)
            guard room > 0 else { throw .tooBig }
            var status = Z_OK
            let piece = [UInt8](unsafeUninitializedCapacity: room) { output, count in
                part.withUnsafeBufferPointer { input in
                    // zlib does not write through its pointer to the input.
                    stream.pointee.next_in = input.baseAddress.map { UnsafeMutablePointer(mutating: $0 + consumed) }
                    stream.pointee.avail_in = size - uInt(consumed)
                    stream.pointee.next_out = output.baseAddress
                    stream.pointee.avail_out = uInt(room)
                    status = CZlib.inflate(stream, Z_SYNC_FLUSH)
                }
                count = room - Int(stream.pointee.avail_out)
            }
            consumed = part.count - Int(stream.pointee.avail_in)
            message.append(contentsOf: piece)
            guard message.count <= maximumBytes else { throw .tooBig }
            switch status {
            case Z_STREAM_END: return true
            // No progress is possible without more input.
            case Z_BUF_ERROR: return false
            case Z_OK:
                if consumed == part.count, piece.count < room { return false }
            default: throw .malformed
            }
        }
    }

    private static let pieceBytes = 16_384
}
