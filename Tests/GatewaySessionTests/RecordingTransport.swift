import Dispatch
import GatewaySession
import GatewayWire
import JSON
import Synchronization

/// An executor on a queue of its own, in place of an event loop.
final class QueueExecutor: SerialExecutor {
    private let queue = DispatchQueue(label: "shard")

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
    }
}

/// A transport that keeps what is written and lets a test wait for it.
final class RecordingTransport: Transport, Sendable {
    private struct State {
        var frames: [String] = []
        var isStarted = false
        var closed: Disconnect?
        var waiters: [(isDone: @Sendable (State) -> Bool, continuation: CheckedContinuation<Void, Never>)] = []
    }

    private let state = Mutex(State())

    private func change(_ body: (inout State) -> Void) {
        let ready = state.withLock { state in
            body(&state)
            let waiters = state.waiters
            state.waiters = []
            state.waiters = waiters.filter { !$0.isDone(state) }
            return waiters.filter { $0.isDone(state) }
        }
        for waiter in ready { waiter.continuation.resume() }
    }

    private func wait(_ isDone: @escaping @Sendable (State) -> Bool) async {
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                if isDone(state) { return true }
                state.waiters.append((isDone, continuation))
                return false
            }
            if isThere { continuation.resume() }
        }
    }

    func write(_ bytes: [UInt8]) { change { $0.frames.append(String(decoding: bytes, as: UTF8.self)) } }
    func write(_ frame: SharedFrame) { frame.forEachMessage(write) }
    func flush() {}
    var outstandingBytes: Int { 0 }
    func start() { change { $0.isStarted = true } }
    func ping() {}
    func close(_ disconnect: Disconnect) { change { $0.closed = disconnect } }

    var frames: [String] { state.withLock { $0.frames } }
    var isStarted: Bool { state.withLock { $0.isStarted } }
    var closed: Disconnect? { state.withLock { $0.closed } }

    /// Waits until something that was written matches, and returns it.
    func frame(_ matches: @escaping @Sendable (String) -> Bool) async -> String {
        await wait { $0.frames.contains(where: matches) }
        return frames.first(where: matches) ?? ""
    }

    func frame(_ text: String) async { _ = await frame { $0 == text } }

    /// Waits until it is closed, and returns why.
    func closing() async -> Disconnect? {
        await wait { $0.closed != nil }
        return closed
    }
}

/// What a client of the Centrifuge protocol makes of the frames.
extension RecordingTransport {
    /// Waits for the answer to the command `id`.
    func reply(_ id: Int64) async -> JSONValue {
        let text = await frame { (try? JSONValue(parsing: $0.utf8))?["id"] == .integer(id) }
        return (try? JSONValue(parsing: text.utf8)) ?? .null
    }

    /// Waits for a push that matches.
    func push(_ matches: @escaping @Sendable (JSONValue) -> Bool) async {
        _ = await frame { (try? JSONValue(parsing: $0.utf8))?["push"].map(matches) ?? false }
    }

    /// The data of the publications that have come.
    var publications: [JSONValue] {
        frames.compactMap { (try? JSONValue(parsing: $0.utf8))?["push"]?["pub"]?["data"] }
    }
}
