internal import CNats
internal import Dispatch
internal import Synchronization

/// One connection of libnats's: from a successful attempt until libnats gives up. libnats makes lost connections again by
/// itself, but ends for good when a server refuses the user twice; the core then makes another link.
///
/// `@unchecked`: libnats locks the connection itself; the pointer is freed when nobody holds this object any more, so
/// that no call can be under way then.
final class ConnectionLink: @unchecked Sendable {
    let pointer: OpaquePointer
    private let callbacks: LinkCallbacks

    private init(pointer: OpaquePointer, callbacks: LinkCallbacks) {
        self.pointer = pointer
        self.callbacks = callbacks
    }

    /// Connects to one of the servers. Blocks for as long as that takes, at most the connect timeout per server.
    static func open(_ options: NATSConnectionOptions, core: ConnectionCore) throws(NATSError) -> ConnectionLink {
        let callbacks = LinkCallbacks(core: core)
        // Released in the closed callback, or here if there will be none.
        let reference = Unmanaged.passRetained(callbacks)
        do throws(NATSError) {
            return try options.withCOptions(closure: reference.toOpaque()) { options throws(NATSError) in
                var created: OpaquePointer?
                try check(natsConnection_Connect(&created, options), "natsConnection_Connect")
                guard let created else { throw NATSError(.failed, "natsConnection_Connect: no connection") }
                return ConnectionLink(pointer: created, callbacks: callbacks)
            }
        } catch {
            reference.release()
            throw error
        }
    }

    /// Whether libnats has given up.
    var isClosed: Bool { callbacks.isClosed.load(ordering: .acquiring) }

    /// Whether it is in touch with a server at this moment.
    var isConnected: Bool { natsConnection_Status(pointer) == NATS_CONN_STATUS_CONNECTED }

    /// How large a message the server takes.
    var maximumPayload: Int64 { natsConnection_GetMaxPayload(pointer) }

    func send(_ message: NATSMessage, replyTo: String?) throws(NATSError) {
        if message.headers.isEmpty {
            let status = message.payload.withUnsafeBytes { bytes in
                let length = Int32(clamping: bytes.count)
                return if let replyTo {
                    natsConnection_PublishRequest(pointer, message.subject, replyTo, bytes.baseAddress, length)
                } else {
                    natsConnection_Publish(pointer, message.subject, bytes.baseAddress, length)
                }
            }
            try check(status, "natsConnection_Publish")
        } else {
            try message.withCMessage(replyTo: replyTo) { message throws(NATSError) in
                try check(natsConnection_PublishMsg(pointer, message), "natsConnection_PublishMsg")
            }
        }
    }

    /// Destroying waits for libnats's threads, of which the present one may be one: so it is done elsewhere.
    deinit {
        nonisolated(unsafe) let pointer = pointer
        DispatchQueue(label: "nats.close").async { natsConnection_Destroy(pointer) }
    }
}

/// What libnats calls back: it holds one reference to this from connecting until `closed`, the last of the callbacks.
final class LinkCallbacks: Sendable {
    let core: ConnectionCore
    let isClosed = Atomic(false)

    init(core: ConnectionCore) { self.core = core }

    static func from(_ closure: UnsafeMutableRawPointer?) -> LinkCallbacks? {
        closure.map { Unmanaged<LinkCallbacks>.fromOpaque($0).takeUnretainedValue() }
    }
}
