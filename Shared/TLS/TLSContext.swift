internal import COpenSSL
internal import Synchronization

/// A server's certificate and key, and how it speaks TLS: 1.2 and 1.3, with `http/1.1` as the only protocol inside.
///
/// Sessions are not resumed. A ticket would be good at this process only, and until it stops: clients come back in numbers
/// when it has stopped. Without tickets and cache nothing is kept of those who have gone.
public final class TLSContext: Sendable {
    public let certificateFile: String
    public let keyFile: String
    private let state: Mutex<State>

    private struct State {
        var handle: ContextHandle
        /// Of the files that were read last, good or bad.
        var stamps: FileStamps
    }

    /// Reads a certificate with its chain, the server's own first, and its key, both in PEM.
    /// - Throws: ``TLSFileError``.
    public init(certificateFile: String, keyFile: String) throws(TLSFileError) {
        self.certificateFile = certificateFile
        self.keyFile = keyFile
        // The descriptor's write has no flag that keeps a closed connection from ending the process by a signal.
        BrokenPipes.areErrors()
        let stamps = FileStamps(certificateFile, keyFile)
        let handle = try ContextHandle(certificateFile: certificateFile, keyFile: keyFile)
        state = Mutex(State(handle: handle, stamps: stamps))
    }

    /// Reads the files again if they are others than those that were read last. Open connections keep what they have.
    /// - Returns: whether those that come now get a new certificate.
    /// - Throws: ``TLSFileError``, once for each change; what was good stays in use.
    public func reload() throws(TLSFileError) -> Bool {
        let stamps = FileStamps(certificateFile, keyFile)
        let isNew = state.withLock { state in
            defer { state.stamps = stamps }
            return state.stamps != stamps
        }
        guard isNew else { return false }
        let handle = try ContextHandle(certificateFile: certificateFile, keyFile: keyFile)
        state.withLock { $0.handle = handle }
        return true
    }

    /// The server's side of a connection on a descriptor that does not block, and that stays the caller's to close.
    /// - Returns: nil when there is no memory for it.
    public func makeSession(on descriptor: Int32) -> TLSSession? {
        let handle = state.withLock { $0.handle }
        return TLSSession(handle, descriptor)
    }
}

/// Owns OpenSSL's context; whoever has one may use it from any thread.
final class ContextHandle: @unchecked Sendable {
    let pointer: OpaquePointer

    /// Forward secrecy and authenticated encryption only, also with TLS 1.2.
    private static let ciphersOfTLS12 = "ECDHE+AESGCM:ECDHE+CHACHA20"

    init(certificateFile: String, keyFile: String) throws(TLSFileError) {
        ERR_clear_error()
        guard let pointer = SSL_CTX_new(TLS_server_method()) else {
            throw TLSFileError(.certificate, "OpenSSL cannot be used: \(OpenSSLError.takeFirst().text)")
        }
        self.pointer = pointer
        configure()
        try load(certificateFile: certificateFile, keyFile: keyFile)
    }

    deinit { SSL_CTX_free(pointer) }

    private func configure() {
        _ = openssl_context_set_versions(pointer, TLS1_2_VERSION, TLS1_3_VERSION)
        SSL_CTX_set_options(pointer, openssl_server_options)
        SSL_CTX_set_cipher_list(pointer, ContextHandle.ciphersOfTLS12)
        // A connection that is idle keeps no buffers; what is written may lie elsewhere when it is tried again.
        openssl_context_set_mode(
            pointer,
            Int(SSL_MODE_RELEASE_BUFFERS) | Int(SSL_MODE_ENABLE_PARTIAL_WRITE)
                | Int(SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER))
        // A read goes through one record, whatever it is: nobody holds the thread with records that carry nothing.
        openssl_context_clear_mode(pointer, Int(SSL_MODE_AUTO_RETRY))
        openssl_context_set_cache(pointer, Int(SSL_SESS_CACHE_OFF))
        SSL_CTX_set_num_tickets(pointer, 0)
        SSL_CTX_set_alpn_select_cb(pointer, selectProtocol, nil)
    }

    private func load(certificateFile: String, keyFile: String) throws(TLSFileError) {
        try FileStamps.checkReadable(certificateFile, .certificate)
        guard SSL_CTX_use_certificate_chain_file(pointer, certificateFile) == 1 else {
            throw TLSFileError(
                .certificate,
                "\(certificateFile) holds no certificate that can be used (\(OpenSSLError.takeFirst().text)): "
                    + "it must be a PEM file, the server's own certificate first, then those that vouch for it")
        }
        try FileStamps.checkReadable(keyFile, .key)
        SSL_CTX_set_default_passwd_cb(pointer, refusePassword)
        guard SSL_CTX_use_PrivateKey_file(pointer, keyFile, SSL_FILETYPE_PEM) == 1 else {
            let error = OpenSSLError.takeFirst()
            if error.isMismatch { throw TLSFileError.mismatch(keyFile, certificateFile) }
            throw TLSFileError(
                .key,
                "\(keyFile) holds no private key that can be used (\(error.text)): it must be a PEM file whose key has "
                    + "no password (`openssl pkey -in FILE -out FILE` takes one away)")
        }
        guard SSL_CTX_check_private_key(pointer) == 1 else { throw TLSFileError.mismatch(keyFile, certificateFile) }
        ERR_clear_error()
    }
}

/// Nobody is there to type it.
private let refusePassword:
    @convention(c) (UnsafeMutablePointer<CChar>?, Int32, Int32, UnsafeMutableRawPointer?) -> Int32 =
        { _, _, _, _ in -1 }

/// Picks `http/1.1` among the protocols that a client offers, each a byte of length and its name (RFC 7301, section 3.1); a
/// client that offers only others is told that it cannot be served.
private let selectProtocol:
    @convention(c) (
        OpaquePointer?, UnsafeMutablePointer<UnsafePointer<UInt8>?>?, UnsafeMutablePointer<UInt8>?,
        UnsafePointer<UInt8>?, UInt32, UnsafeMutableRawPointer?
    ) -> Int32 = { _, selected, selectedLength, offered, offeredLength, _ in
        let wanted: StaticString = "http/1.1"
        guard let offered else { return SSL_TLSEXT_ERR_NOACK }
        let offers = UnsafeBufferPointer(start: offered, count: Int(offeredLength))
        var index = 0
        while index < offers.count {
            let length = Int(offers[index])
            let name = offers[(index + 1)...].prefix(length)
            if name.count == wanted.utf8CodeUnitCount, name.elementsEqual(wanted.withUTF8Buffer { Array($0) }) {
                selected?.pointee = offered + index + 1
                selectedLength?.pointee = UInt8(length)
                return SSL_TLSEXT_ERR_OK
            }
            index += 1 + length
        }
        return SSL_TLSEXT_ERR_ALERT_FATAL
    }
