internal import GatewaySession
internal import GatewayWire
internal import Synchronization

/// The transport of a poll: collects what the shard writes until the answer is sent.
///
/// Bounded by the shard, which writes no more once ``outstandingBytes`` is beyond the limit.
final class PollAnswer: Transport, Sendable {
    private struct State {
        var messages: [[UInt8]] = []
        var bytes = 0
        /// Nothing is waited for any more: there is a message, the time is up, or the client or the session has gone.
        var isDone = false
        var end: Disconnect?
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())
    let opening = OpeningGate()

    // MARK: The shard's side

    func write(_ bytes: [UInt8]) {
        state.withLock { state in
            state.messages.append(bytes)
            state.bytes += bytes.count
        }
    }

    func write(_ frame: SharedFrame) { frame.forEachMessage(write) }

    func flush() {
        if state.withLock({ !$0.messages.isEmpty }) { finish() }
    }

    var outstandingBytes: Int { state.withLock { $0.bytes } }

    func start() { opening.start() }

    func ping() {}

    func close(_ disconnect: Disconnect) {
        state.withLock { $0.end = $0.end ?? disconnect }
        opening.end(disconnect)
        finish()
    }

    // MARK: The answer's side

    /// Ends the wait.
    func finish() {
        let waiter = state.withLock { state in
            state.isDone = true
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    /// Waits until there is something to answer with, or ``finish()`` was called.
    func wait() async {
        await withCheckedContinuation { continuation in
            let isDone = state.withLock { state in
                if !state.isDone { state.waiter = continuation }
                return state.isDone
            }
            if isDone { continuation.resume() }
        }
    }

    var isDone: Bool { state.withLock { $0.isDone } }

    /// Why the session ended by itself; nil if it did not.
    var end: Disconnect? { state.withLock { $0.end } }

    /// Everything that came, in order.
    var messages: [[UInt8]] { state.withLock { $0.messages } }
}
