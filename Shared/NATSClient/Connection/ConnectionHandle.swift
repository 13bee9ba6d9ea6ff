internal import CNats
internal import Dispatch

/// libnats's connection.
///
/// `@unchecked`: libnats locks the connection itself; the pointer is freed when nobody holds this object any more, so
/// that no call can be under way then.
final class ConnectionHandle: @unchecked Sendable {
    let pointer: OpaquePointer

    private init(pointer: OpaquePointer) { self.pointer = pointer }

    /// Connects, or begins to: `core` hears of the result. Blocks for one attempt at the most.
    static func open(_ options: NATSConnectionOptions, core: ConnectionCore) throws(NATSError) -> ConnectionHandle {
        // Released in the closed callback, or here if there will be none.
        let reference = Unmanaged.passRetained(core)
        do throws(NATSError) {
            return try options.withCOptions(closure: reference.toOpaque()) { options throws(NATSError) in
                var created: OpaquePointer?
                let status = natsConnection_Connect(&created, options)
                if status == NATS_OK { core.connected() }
                guard status == NATS_OK || status == NATS_NOT_YET_CONNECTED, let created else {
                    throw NATSError(status, during: "natsConnection_Connect")
                }
                return ConnectionHandle(pointer: created)
            }
        } catch {
            reference.release()
            throw error
        }
    }

    /// Destroying waits for libnats's threads, of which the present one may be one: so it is done elsewhere.
    deinit {
        nonisolated(unsafe) let pointer = pointer
        DispatchQueue(label: "nats.close").async { natsConnection_Destroy(pointer) }
    }
}
