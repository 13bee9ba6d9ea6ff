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

    /// libnats's subscription. `@unchecked`: libnats locks it itself, and it is freed by whoever takes it out of the state.
    private struct Handle: @unchecked Sendable {
        let pointer: OpaquePointer
        func destroy() { natsSubscription_Destroy(pointer) }

        /// How many messages waited, and a moment later had been dropped in all; nil if it was ended.
        var counts: (waiting: Int32, dropped: UInt64)? {
            var dropped: Int64 = 0
            var waiting: Int32 = 0
            guard natsSubscription_GetPending(pointer, &waiting, nil) == NATS_OK,
                natsSubscription_GetDropped(pointer, &dropped) == NATS_OK
            else { return nil }
            return (waiting, UInt64(clamping: dropped))
        }
    }

    private struct State {
        var handle: Handle?
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
        handle?.destroy()
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

    /// Subscribes on a link. libnats owns a reference to this object from here until it says that the last message was
    /// delivered, since its thread may be in the callback after the subscription was ended.
    func attach(to link: ConnectionLink, _ options: NATSConnectionOptions) throws(NATSError) {
        let reference = Unmanaged.passRetained(self).toOpaque()
        var created: OpaquePointer?
        let status =
            if let queue {
                natsConnection_QueueSubscribe(&created, link.pointer, subject, queue, messageArrived, reference)
            } else {
                natsConnection_Subscribe(&created, link.pointer, subject, messageArrived, reference)
            }
        guard status == NATS_OK, let created else {
            Unmanaged<NATSSubscription>.fromOpaque(reference).release()
            throw NATSError(status, during: "natsConnection_Subscribe")
        }
        _ = natsSubscription_SetOnCompleteCB(created, subscriptionCompleted, reference)
        _ = natsSubscription_SetPendingLimits(
            created, Int32(clamping: options.pendingMessages), Int32(clamping: options.pendingBytes))
        let handle = Handle(pointer: created)
        let useless = state.withLock { state -> Handle? in
            guard !state.isCancelled else { return handle }
            let previous = state.handle
            state.handle = handle
            state.reportedDrops = 0
            return previous
        }
        useless?.destroy()
    }

    /// The link has ended; another one follows.
    func detach() {
        state.withLock { $0.handle.take() }?.destroy()
    }

    /// Whether libnats's subscription at this address is this one's.
    func isAttached(at address: UInt) -> Bool {
        state.withLock { state in state.handle.map { UInt(bitPattern: $0.pointer) } == address }
    }

    // MARK: From libnats's threads

    fileprivate func received(_ message: OpaquePointer, on handle: OpaquePointer?) {
        deliver(NATSMessage(copying: message))
        if isOverflowing.load(ordering: .relaxed), let handle { reportDrops(of: handle) }
    }

    /// libnats says once, when a queue overflows, that messages are dropped; later ones it only counts, until it has taken
    /// one again. So the count is looked at with each message until none waits: the next is then one that it takes.
    func overflowed(_ handle: OpaquePointer) {
        state.withLock { _ in isOverflowing.store(true, ordering: .relaxed) }
        reportDrops(of: handle)
    }

    private func reportDrops(of handle: OpaquePointer) {
        let handle = Handle(pointer: handle)
        let now = ContinuousClock.now
        let count: UInt64 = state.withLock { state in
            // Looked at under the lock: what libnats says after this look sets the flag after it is taken away here.
            guard let counts = handle.counts else { return 0 }
            let unreported = counts.dropped - min(state.reportedDrops, counts.dropped)
            if unreported == 0 {
                if counts.waiting == 0 { isOverflowing.store(false, ordering: .relaxed) }
                return 0
            }
            // At most one report a second while it lasts, and one at the end.
            if let last = state.lastReport, now - last < .seconds(1), counts.waiting > 1 { return 0 }
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
