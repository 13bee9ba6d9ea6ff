import COpenSSL
import Glibc
import TLS

/// A client and a server session, each with a socket, and in between whoever carries the bytes: the test.
final class SessionPair {
    let server: TLSSession
    /// The client's end; the test has the other ends.
    let client: OpaquePointer
    let clientEnd: Int32
    let clientWire: Int32
    let serverEnd: Int32
    let serverWire: Int32
    private let context: OpaquePointer

    struct Failure: Error {}

    /// - Parameter maximumVersion: of the client's.
    convenience init(_ files: ServerFiles, maximumVersion: Int32 = TLS1_3_VERSION, alpn: [String] = []) throws {
        let serverContext = try TLSContext(certificateFile: files.path("a.pem"), keyFile: files.path("a.key"))
        try self.init(serverContext, maximumVersion: maximumVersion, alpn: alpn)
    }

    init(_ serverContext: TLSContext, maximumVersion: Int32 = TLS1_3_VERSION, alpn: [String] = []) throws {
        (clientEnd, clientWire) = SessionPair.sockets()
        (serverEnd, serverWire) = SessionPair.sockets()
        guard let context = SSL_CTX_new(TLS_client_method()), let client = SSL_new(context),
            let server = serverContext.makeSession(on: serverEnd)
        else { throw Failure() }
        SSL_CTX_set_security_level(context, 0)
        SSL_set_security_level(client, 0)
        SSL_ctrl(client, SSL_CTRL_SET_MIN_PROTO_VERSION, Int(TLS1_VERSION), nil)
        SSL_ctrl(client, SSL_CTRL_SET_MAX_PROTO_VERSION, Int(maximumVersion), nil)
        let offers = alpn.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
        if !offers.isEmpty { SSL_set_alpn_protos(client, offers, UInt32(offers.count)) }
        SSL_set_fd(client, clientEnd)
        SSL_set_connect_state(client)
        self.context = context
        self.client = client
        self.server = server
    }

    deinit {
        SSL_free(client)
        SSL_CTX_free(context)
        for end in [clientEnd, clientWire, serverEnd, serverWire] { close(end) }
    }

    static func sockets() -> (Int32, Int32) {
        var ends: [Int32] = [0, 0]
        socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0, &ends)
        return (ends[0], ends[1])
    }

    // MARK: The wire

    /// What one side has sent and nobody has carried.
    static func take(_ wire: Int32) -> [UInt8] {
        var taken: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while case let count = read(wire, &buffer, buffer.count), count > 0 { taken += buffer[..<count] }
        return taken
    }

    static func put(_ bytes: some Collection<UInt8>, _ wire: Int32) {
        let bytes = Array(bytes)
        _ = bytes.withUnsafeBytes { send(wire, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
    }

    /// Carries bytes both ways once.
    func carry() {
        SessionPair.put(SessionPair.take(clientWire), serverWire)
        SessionPair.put(SessionPair.take(serverWire), clientWire)
    }

    // MARK: Both

    /// Carries until the server's handshake ends one way or the other.
    func shakeHands() -> TLSSession.Handshake {
        for _ in 0..<20 {
            SSL_do_handshake(client)
            carry()
            let state = server.handshake()
            carry()
            switch state {
            case .wantsRead, .wantsWrite: continue
            case .done:
                SSL_do_handshake(client)
                return .done
            case .failed: return state
            }
        }
        return .wantsRead
    }

    func clientWrites(_ bytes: [UInt8]) {
        SSL_write(client, bytes, Int32(bytes.count))
        carry()
    }

    func clientReads() -> [UInt8] {
        carry()
        var taken: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while case let count = SSL_read(client, &buffer, Int32(buffer.count)), count > 0 {
            taken += buffer[..<Int(count)]
            carry()
        }
        return taken
    }

    func serverReads(room: Int = 65_536) -> (TLSSession.Outcome, [UInt8]) {
        var buffer = [UInt8](repeating: 0, count: room)
        let outcome = buffer.withUnsafeMutableBytes { server.read(into: $0) }
        if case .bytes(let count) = outcome { return (outcome, Array(buffer[..<count])) }
        return (outcome, [])
    }

    func serverWrites(_ bytes: [UInt8]) -> TLSSession.Outcome { bytes.withUnsafeBytes { server.write($0) } }
}

extension SessionPair {
    /// Of the certificate that the client was shown.
    var commonName: String? {
        guard let certificate = SSL_get1_peer_certificate(client) else { return nil }
        defer { X509_free(certificate) }
        var text = [CChar](repeating: 0, count: 64)
        X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, &text, Int32(text.count))
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    var protocolInside: String? {
        var name: UnsafePointer<UInt8>?
        var length: UInt32 = 0
        SSL_get0_alpn_selected(client, &name, &length)
        return name.map { String(decoding: UnsafeBufferPointer(start: $0, count: Int(length)), as: UTF8.self) }
    }
}
