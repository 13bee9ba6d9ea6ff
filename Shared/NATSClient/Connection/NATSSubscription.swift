internal import CNats
internal import Synchronization

/// A running subscription. It lives until ``cancel()`` or the end of the connection, whether or not anybody holds it.
public final class NATSSubscription: Sendable {
    public let subject: String
    public let queue: String?

    private let deliver: @Sendable (NATSMessage) -> Void
    private let reportDropped: @Sendable (_ subject: String, _ count: UInt64) -> Void
    private let endings = Mutex<[@Sendable () -> Void]>([])
    private let state = Mutex(State())
    /// Set while messages may have been dropped that were not reported yet; read for each message.
    private let isOverflowing = Atomic(false)

    private struct State {
        /// libnats's subscription. `@unchecked` sharing is right: libnats locks it itself, and it is freed under this
        /// lock, by whoever takes it out.
        nonisolated(unsafe) var handle: OpaquePointer?
        var isCancelled = false
        var reportedDrops: UInt64 = 0
        var lastReport: ContinuousClock.Instant?
    }

    init(
        subject: String, queue: String?, deliver: @escaping @Sendable (NATSMessage) -> Void,
        reportDropped: @escaping @Sendable (_ subject: String, _ count: UInt64) -> Void
    ) {
        self.subject = subject
        self.queue = queue
        self.deliver = deliver
        self.reportDropped = reportDropped
    }

    /// Ends it. The callback may run once more for a message that is being delivered. Doing it twice is harmless.
    public func cancel() {
        let handle = state.withLock { state in
            state.isCancelled = true
            return state.handle.take()
        }
        if let handle { natsSubscription_Destroy(handle) }
        let actions = endings.withLock { endings in
            let actions = endings
            endings = []
            return actions
        }
        for action in actions { action() }
    }

    /// Calls `action` once when the subscription is cancelled, by its owner or with the connection.
    func whenEnded(_ action: @escaping @Sendable () -> Void) {
        let hasEnded = state.withLock { state in
            if !state.isCancelled { endings.withLock { $0.append(action) } }
            return state.isCancelled
        }
        if hasEnded { action() }
    }

    /// Subscribes on `connection`. libnats owns a reference to this object from here until it says that the last message
    /// was delivered, since its thread may be in the callback after the subscription was ended.
    /// - Returns: libnats's address for it, to recognise it by; nil if it was cancelled meanwhile.
    func attach(
        to connection: OpaquePointer, pendingMessages: Int, pendingBytes: Int
    ) throws(NATSError) -> UInt? {
        let reference = Unmanaged.passRetained(self).toOpaque()
        var created: OpaquePointer?
        let status =
            if let queue {
                natsConnection_QueueSubscribe(&created, connection, subject, queue, messageArrived, reference)
            } else {
                natsConnection_Subscribe(&created, connection, subject, messageArrived, reference)
            }
        guard status == NATS_OK, let created else {
            Unmanaged<NATSSubscription>.fromOpaque(reference).release()
            throw NATSError(status, during: "natsConnection_Subscribe")
        }
        _ = natsSubscription_SetOnCompleteCB(created, subscriptionCompleted, reference)
        _ = natsSubscription_SetPendingLimits(created, Int32(clamping: pendingMessages), Int32(clamping: pendingBytes))
        nonisolated(unsafe) let handle = created
        let isCancelled = state.withLock { state in
            guard !state.isCancelled else { return true }
            state.handle = handle
            return false
        }
        guard !isCancelled else {
            natsSubscription_Destroy(created)
            return nil
        }
        return UInt(bitPattern: created)
    }

    // MARK: From libnats's threads

    fileprivate func received(_ message: OpaquePointer, on handle: OpaquePointer?) {
        deliver(NATSMessage(copying: message))
        if isOverflowing.load(ordering: .relaxed), let handle { reportDrops(of: handle) }
    }

    /// libnats says once, when a queue overflows, that messages are dropped; later ones it only counts. So the count is
    /// looked at with each message until it stands still.
    func overflowed(_ handle: OpaquePointer) {
        isOverflowing.store(true, ordering: .relaxed)
        reportDrops(of: handle)
    }

    private func reportDrops(of handle: OpaquePointer) {
        var total: Int64 = 0
        var waiting: Int32 = 0
        guard natsSubscription_GetDropped(handle, &total) == NATS_OK,
            natsSubscription_GetPending(handle, &waiting, nil) == NATS_OK
        else { return }
        let now = ContinuousClock.now
        let count: UInt64 = state.withLock { state in
            let unreported = UInt64(clamping: total) - min(state.reportedDrops, UInt64(clamping: total))
            if unreported == 0 {
                isOverflowing.store(false, ordering: .relaxed)
                return 0
            }
            // At most one report a second while it lasts, and one at the end.
            if let last = state.lastReport, now - last < .seconds(1), waiting > 1 { return 0 }
            state.reportedDrops += unreported
            state.lastReport = now
            return unreported
        }
        if count > 0 { reportDropped(subject, count) }
    }
}

/// Runs on libnats's delivery thread.
private let messageArrived: natsMsgHandler = { _, handle, message, closure in
    guard let message else { return }
    defer { natsMsg_Destroy(message) }
    guard let closure else { return }
    Unmanaged<NATSSubscription>.fromOpaque(closure).takeUnretainedValue().received(message, on: handle)
}

/// Runs when the subscription is closed and its callback has returned for the last time.
private let subscriptionCompleted: natsOnCompleteCB = { closure in
    guard let closure else { return }
    Unmanaged<NATSSubscription>.fromOpaque(closure).release()
}
