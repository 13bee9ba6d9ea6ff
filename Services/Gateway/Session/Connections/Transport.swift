package import GatewayWire

/// Where a connection's bytes go. Implemented by the edge; used on the shard's executor only.
package protocol Transport: AnyObject {
    /// Queues bytes that concern this connection alone.
    func write(_ bytes: [UInt8])

    /// Queues messages that many connections get.
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

/// Messages that go to many connections, with room for the form in which a transport sends them, made once.
///
/// Belongs to one shard and never leaves its executor.
package final class SharedFrame {
    /// As its protocol writes it; a transport that frames messages frames each.
    package let first: [UInt8]
    /// Those that follow it: mostly none.
    package let others: [[UInt8]]
    /// What the first connection's transport made of the bytes, for all others that send the same form.
    package var prepared: [UInt8]?
    /// The same for those that compress.
    package var preparedCompressed: [UInt8]?

    /// How many bytes the messages have.
    package let count: Int

    package init(_ first: [UInt8], _ others: [[UInt8]] = []) {
        self.first = first
        self.others = others
        count = others.reduce(first.count) { $0 + $1.count }
    }

    /// The messages in order.
    package func forEachMessage(_ body: ([UInt8]) -> Void) {
        body(first)
        for message in others { body(message) }
    }
}
