package import GatewayWire

/// Where a connection's bytes go. Implemented by the edge; used on the shard's executor only.
package protocol Transport: AnyObject {
    /// Queues bytes that concern this connection alone.
    func write(_ bytes: [UInt8])

    /// Queues bytes that many connections get.
    func write(_ frame: SharedFrame)

    /// Sends what is queued.
    func flush()

    /// How much is queued or sent and not yet taken by the client's side of the socket.
    var outstandingBytes: Int { get }

    /// Begins the answer of a protocol that answers only when the session is ready, such as an event stream.
    func start()

    /// Sends the transport's own keep-alive, for protocols that have none.
    func ping()

    /// Closes with this reason after what is queued; a transport that has not started yet refuses with it.
    func close(_ disconnect: Disconnect)
}

/// Bytes that go to many connections, with room for the form in which a transport sends them, made once.
///
/// Belongs to one shard and never leaves its executor.
package final class SharedFrame {
    package let bytes: [UInt8]
    /// What a transport made of the bytes for the first connection; the same for all of its kind.
    package var prepared: AnyObject?

    package init(_ bytes: [UInt8]) { self.bytes = bytes }
}
