internal import COpenSSL
internal import Glibc

/// The server's side of one connection: bytes of the program in, records on the descriptor out, and the reverse.
///
/// No call waits: what cannot be done now says what the descriptor must be ready for, and is called again then. Each call
/// looks at one record at most, of up to ``maximumRecordBytes``, so neither time nor memory is the other side's to decide.
/// Belongs to one thread at a time. The descriptor is not closed here.
public final class TLSSession {
    /// What came of a call.
    public enum Outcome: Equatable, Sendable {
        case bytes(Int)
        /// Again when there is something to read.
        case wantsRead
        /// Again when something can be written.
        case wantsWrite
        /// The other side sends no more.
        case end
        case failed(TLSFailure)
    }

    /// How far the handshake is.
    public enum Handshake: Equatable, Sendable {
        case done
        case wantsRead
        case wantsWrite
        case failed(TLSFailure)
    }

    /// What a record holds at most: a read with room for so many leaves nothing behind that nobody is told of.
    public static let maximumRecordBytes = 16_384

    private let ssl: OpaquePointer
    /// After a failure nothing may be said any more.
    private var isFailed = false
    private var hasEndedWriting = false

    init?(_ context: ContextHandle, _ descriptor: Int32) {
        ERR_clear_error()
        guard let ssl = SSL_new(context.pointer) else { return nil }
        guard SSL_set_fd(ssl, descriptor) == 1 else {
            SSL_free(ssl)
            return nil
        }
        SSL_set_accept_state(ssl)
        self.ssl = ssl
    }

    deinit { SSL_free(ssl) }

    /// Goes as far as it can. Repeated until it is done or has failed.
    public func handshake() -> Handshake {
        ERR_clear_error()
        let status = SSL_do_handshake(ssl)
        if status == 1 { return .done }
        switch outcome(status) {
        case .wantsRead: return .wantsRead
        case .wantsWrite: return .wantsWrite
        case .failed(let failure): return .failed(failure)
        case .end, .bytes:
            isFailed = true
            return .failed(TLSFailure(.gone, "it ended in the middle of the handshake"))
        }
    }

    /// Reads what one record holds.
    /// - Parameter buffer: with room for ``maximumRecordBytes``, or what does not fit is only told by ``pendingBytes``.
    public func read(into buffer: UnsafeMutableRawBufferPointer) -> Outcome {
        guard !isFailed else { return .end }
        ERR_clear_error()
        let count = SSL_read(ssl, buffer.baseAddress, Int32(clamping: buffer.count))
        return count > 0 ? .bytes(Int(count)) : outcome(count)
    }

    /// What was decrypted and did not fit into a read.
    public var pendingBytes: Int { Int(SSL_pending(ssl)) }

    /// Writes a record of up to ``maximumRecordBytes``. After ``Outcome/wantsWrite`` the next call must begin with the same
    /// bytes, and have no fewer; they may lie elsewhere.
    /// - Returns: how many of the bytes were taken.
    public func write(_ bytes: UnsafeRawBufferPointer) -> Outcome {
        guard !bytes.isEmpty else { return .bytes(0) }
        guard !isFailed else { return .end }
        ERR_clear_error()
        let count = SSL_write(ssl, bytes.baseAddress, Int32(min(bytes.count, TLSSession.maximumRecordBytes)))
        return count > 0 ? .bytes(Int(count)) : outcome(count)
    }

    /// Tells the other side that nothing more comes (`close_notify`), if the descriptor takes it.
    public func endWriting() {
        guard !isFailed, !hasEndedWriting, SSL_is_init_finished(ssl) == 1 else { return }
        // Asked twice, OpenSSL would read what the other side answers.
        hasEndedWriting = true
        ERR_clear_error()
        SSL_shutdown(ssl)
        ERR_clear_error()
    }

    private func outcome(_ status: Int32) -> Outcome {
        let code = errno
        switch SSL_get_error(ssl, status) {
        case SSL_ERROR_WANT_READ: return .wantsRead
        case SSL_ERROR_WANT_WRITE: return .wantsWrite
        case SSL_ERROR_ZERO_RETURN: return .end
        case SSL_ERROR_SYSCALL:
            isFailed = true
            ERR_clear_error()
            return .failed(TLSFailure(.gone, code == 0 ? "it has gone" : String(cString: strerror(code))))
        default:
            isFailed = true
            let error = OpenSSLError.takeFirst()
            return .failed(TLSFailure(error.kind, error.text))
        }
    }
}
