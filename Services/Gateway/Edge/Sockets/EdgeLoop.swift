internal import GatewaySession
internal import Reactor

/// What the connections of one reactor share: its shard, its buffers, its compressor.
///
/// Belongs to the reactor's thread, but for what is constant.
final class EdgeLoop: Sendable {
    let reactor: Reactor
    let shard: Shard
    let limits: GatewayLimits
    let mark: WriteMark
    let admission: ConnectionAdmission
    /// What one read takes.
    nonisolated(unsafe) let inbound: UnsafeMutableBufferPointer<UInt8>
    /// Where small pieces are put together for one write.
    nonisolated(unsafe) let outbound: UnsafeMutableRawBufferPointer
    /// Those who have not finished a request yet.
    private nonisolated(unsafe) var undecided: [Int32: any UndecidedConnection] = [:]
    private nonisolated(unsafe) var ownCompressor: LoopCompressor?

    private static let bufferBytes = 65_536

    init(reactor: Reactor, shard: Shard, limits: GatewayLimits, admission: ConnectionAdmission) {
        self.reactor = reactor
        self.shard = shard
        self.limits = limits
        self.admission = admission
        mark = WriteMark(outboundBytes: limits.outboundBytes)
        inbound = .allocate(capacity: EdgeLoop.bufferBytes)
        outbound = .allocate(byteCount: EdgeLoop.bufferBytes, alignment: 16)
    }

    deinit {
        inbound.deallocate()
        outbound.deallocate()
    }

    /// Compresses and unpacks the messages of this loop's connections, one after the other.
    var compressor: LoopCompressor {
        if let ownCompressor { return ownCompressor }
        let made = LoopCompressor()
        ownCompressor = made
        return made
    }

    /// Calls the shard, whose executor is the reactor.
    func onShard<Value: Sendable>(_ body: (isolated Shard) -> Value) -> Value {
        // Safe: whoever calls is on the reactor's thread, which `assumeIsolated` checks.
        nonisolated(unsafe) let body = body
        return shard.assumeIsolated { body($0) }
    }

    // MARK: Those who have not said what they want

    func wait(for connection: any UndecidedConnection) { undecided[connection.descriptor] = connection }
    func decided(_ connection: any UndecidedConnection) { undecided[connection.descriptor] = nil }

    /// Closes those who took too long. Called about once a second.
    func sweep() {
        let now = ContinuousClock.now
        for connection in Array(undecided.values) where connection.deadline <= now { connection.timedOut() }
    }

    /// The gateway leaves: nobody waits for a request any more.
    func closeUndecided() {
        for connection in Array(undecided.values) { connection.close() }
    }
}

/// A connection that has not said what it wants: it is in the middle of a handshake, or of the head of its first request.
protocol UndecidedConnection: AnyObject {
    var descriptor: Int32 { get }
    /// When it is closed if it has still not said it.
    var deadline: ContinuousClock.Instant { get }
    func timedOut()
    func close()
}
