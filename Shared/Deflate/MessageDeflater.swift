internal import CZlib

/// Compresses messages by raw deflate (RFC 1951) in the form of WebSocket's permessage-deflate (RFC 7692, section 7.2.1):
/// flushed to a byte, without the four bytes that end a flush. No message depends on another.
///
/// Keeps zlib's memory, about 256 kB, from one message to the next, so one serves a whole thread. Belongs to that thread.
public final class MessageDeflater {
    private let stream: UnsafeMutablePointer<z_stream>

    /// - Parameter level: 1, the fastest, to 9, the smallest.
    /// - Returns: nil when there is no memory for it.
    public init?(level: Int = 1) {
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        let status = deflateInit2_(
            stream, Int32(clamping: level), Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
            Int32(MemoryLayout<z_stream>.size))
        guard status == Z_OK else {
            stream.deallocate()
            return nil
        }
    }

    deinit {
        deflateEnd(stream)
        stream.deallocate()
    }

    /// - Returns: nil when zlib fails, which it does for no input; the message then goes uncompressed.
    public func deflate(_ message: [UInt8]) -> [UInt8]? {
        guard deflateReset(stream) == Z_OK, let size = uInt(exactly: message.count) else { return nil }
        // The bound is for a message that ends the stream; a flush takes a few bytes more.
        let capacity = Int(deflateBound(stream, uLong(message.count))) + 16
        guard let room = uInt(exactly: capacity) else { return nil }
        var status = Z_OK
        var output = [UInt8](unsafeUninitializedCapacity: capacity) { output, count in
            message.withUnsafeBufferPointer { input in
                // zlib does not write through its pointer to the input.
                stream.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
                stream.pointee.avail_in = size
                stream.pointee.next_out = output.baseAddress
                stream.pointee.avail_out = room
                status = CZlib.deflate(stream, Z_SYNC_FLUSH)
            }
            count = capacity - Int(stream.pointee.avail_out)
        }
        guard status == Z_OK, stream.pointee.avail_out > 0, output.suffix(4) == MessageInflater.tail[...] else {
            return nil
        }
        output.removeLast(4)
        return output
    }
}
