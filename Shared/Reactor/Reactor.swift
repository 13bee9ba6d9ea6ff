internal import CEpoll
internal import Glibc
internal import Synchronization

/// One thread that waits for descriptors (Linux's epoll) and runs what belongs to them; the executor of the actors that own
/// them.
///
/// Each turn of the loop calls the handlers of the descriptors that are ready, then due timers, then what was handed to
/// ``execute(_:)`` and the actors' jobs, in the order in which they came. A turn never waits for anything but the next
/// event, so none of these may block.
///
/// ``execute(_:)`` and ``enqueue(_:)`` may be called from any thread; everything about descriptors and timers belongs to the
/// reactor's own thread, which a debug build checks. Nothing is bounded here: whoever hands something over bounds it.
public final class Reactor: SerialExecutor, Sendable {
    /// Which descriptor an entry of epoll is about, and which of the handlers that it has had.
    private struct Slot {
        var handler: (any ReactorHandler)?
        var generation: UInt32 = 0
    }

    public let name: String
    private let epoll: Int32
    private let wakeup: Int32
    private let queue = Mutex(ReactorQueue())
    private let thread = Atomic<UInt>(0)
    private let isStopping = Atomic<Bool>(false)
    // Only the reactor's thread touches these.
    private nonisolated(unsafe) var slots: [Slot] = []
    private nonisolated(unsafe) var timers = ReactorTimers()

    private static let maximumEvents = 256
    /// How often a turn looks for more of what was handed over.
    private static let maximumRounds = 32

    /// Starts the thread.
    /// - Throws: ``ReactorError`` if the process may open no more files or start no more threads.
    public init(name: String) throws(ReactorError) {
        self.name = name
        epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard epoll >= 0 else { throw ReactorError("epoll_create1", errno) }
        wakeup = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        guard wakeup >= 0 else {
            let error = ReactorError("eventfd", errno)
            close(epoll)
            throw error
        }
        var event = epoll_event()
        event.events = EPOLLIN.rawValue
        event.data.u64 = Reactor.wakeupMark
        epoll_ctl(epoll, EPOLL_CTL_ADD, wakeup, &event)
        try start()
    }

    /// Not a descriptor: they are positive.
    private static let wakeupMark = UInt64.max

    private func start() throws(ReactorError) {
        var thread = pthread_t()
        // The thread holds the reactor until it is stopped.
        let status = pthread_create(&thread, nil, runReactor, Unmanaged.passRetained(self).toOpaque())
        guard status == 0 else {
            Unmanaged.passUnretained(self).release()
            throw ReactorError("pthread_create", status)
        }
        pthread_detach(thread)
    }

    /// Ends the thread after the present turn. Descriptors that are still watched are not closed.
    public func stop() {
        isStopping.store(true, ordering: .sequentiallyConsistent)
        execute {}
    }

    deinit {
        close(wakeup)
        close(epoll)
    }

    // MARK: From any thread

    /// Runs `body` on the reactor's thread, after what was handed over before.
    public func execute(_ body: @escaping @Sendable () -> Void) { append(.block(body)) }

    /// Runs `body` on the reactor's thread at the end of a turn, once nothing is left of what was handed over and of what came
    /// of it. For what gathers the work of a turn, as writing to a socket does.
    public func executeLast(_ body: @escaping @Sendable () -> Void) {
        guard queue.withLock({ $0.appendLast(body) }) else { return }
        wake()
    }

    public func enqueue(_ job: consuming ExecutorJob) { append(.job(UnownedJob(job))) }

    private func append(_ item: ReactorQueue.Item) {
        guard queue.withLock({ $0.append(item) }) else { return }
        wake()
    }

    private func wake() {
        var one: UInt64 = 1
        write(wakeup, &one, 8)
    }

    /// Whether this is the reactor's thread.
    public var isCurrent: Bool { thread.load(ordering: .relaxed) == UInt(pthread_self()) }

    public func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }

    public func checkIsolated() {
        precondition(isCurrent, "not on the thread of the reactor \(name)")
    }

    public func isIsolatingCurrentContext() -> Bool? { isCurrent }

    // MARK: Descriptors

    /// Calls `handler` whenever the descriptor is ready for what is asked. The reactor holds the handler until
    /// ``unwatch(_:)``, which must come before the descriptor is closed.
    /// - Returns: false if the kernel refuses, for it has no memory or the descriptor is none that can be waited for.
    @discardableResult
    public func watch(_ descriptor: Int32, for readiness: Readiness, _ handler: any ReactorHandler) -> Bool {
        assert(isCurrent)
        let index = Int(descriptor)
        if index >= slots.count { slots.append(contentsOf: repeatElement(Slot(), count: index + 1 - slots.count)) }
        slots[index].generation &+= 1
        slots[index].handler = handler
        guard control(EPOLL_CTL_ADD, descriptor, readiness) else {
            slots[index].handler = nil
            return false
        }
        return true
    }

    /// Has another handler called from now on.
    public func replaceHandler(of descriptor: Int32, with handler: any ReactorHandler) {
        assert(isCurrent)
        slots[Int(descriptor)].handler = handler
    }

    public func change(_ descriptor: Int32, to readiness: Readiness) {
        assert(isCurrent)
        _ = control(EPOLL_CTL_MOD, descriptor, readiness)
    }

    /// Events of the descriptor that this turn has still to tell are not told.
    public func unwatch(_ descriptor: Int32) {
        assert(isCurrent)
        let index = Int(descriptor)
        guard index < slots.count, slots[index].handler != nil else { return }
        slots[index].handler = nil
        var event = epoll_event()
        epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, &event)
    }

    private func control(_ operation: Int32, _ descriptor: Int32, _ readiness: Readiness) -> Bool {
        var event = epoll_event()
        event.events = readiness.mask
        event.data.u64 = UInt64(slots[Int(descriptor)].generation) << 32 | UInt64(UInt32(bitPattern: descriptor))
        return epoll_ctl(epoll, operation, descriptor, &event) == 0
    }

    // MARK: Timers

    /// Calls `body` once, not before `delay` is over.
    @discardableResult
    public func schedule(after delay: Duration, _ body: @escaping () -> Void) -> ReactorTimer {
        assert(isCurrent)
        return timers.schedule(at: .now + delay, body)
    }

    // MARK: The loop

    fileprivate func run() {
        thread.store(UInt(pthread_self()), ordering: .relaxed)
        let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: Reactor.maximumEvents)
        defer { events.deallocate() }
        while !isStopping.load(ordering: .relaxed) {
            let count = epoll_wait(epoll, events, Int32(Reactor.maximumEvents), waitingTime())
            queue.withLock { $0.isWaiting = false }
            for index in 0..<max(0, Int(count)) { tell(events[index]) }
            for timer in timers.due(at: .now) { timer.fire() }
            // What comes of it belongs to the same turn, within limits: the descriptors must have their turn too.
            var rounds = 0
            while rounds < Reactor.maximumRounds, runQueued() { rounds += 1 }
            for body in queue.withLock({ $0.takeLast() }) { body() }
        }
    }

    /// In milliseconds: none if something is queued, without end (-1) if there is no timer.
    private func waitingTime() -> Int32 {
        guard queue.withLock({ $0.beginWaiting() }) else { return 0 }
        guard let next = timers.next else { return -1 }
        let milliseconds = next.milliseconds(after: .now)
        return Int32(clamping: milliseconds)
    }

    private func tell(_ event: epoll_event) {
        let mark = event.data.u64
        guard mark != Reactor.wakeupMark else {
            var count: UInt64 = 0
            read(wakeup, &count, 8)
            return
        }
        let index = Int(UInt32(truncatingIfNeeded: mark))
        // A handler that was called before may have closed this descriptor, and another may have got its number.
        guard index < slots.count, slots[index].generation == UInt32(mark >> 32), let handler = slots[index].handler
        else { return }
        handler.ready(Readiness(mask: event.events))
    }

    /// - Returns: whether there was anything.
    private func runQueued() -> Bool {
        let items = queue.withLock { $0.take() }
        let executor = asUnownedSerialExecutor()
        for item in items {
            switch item {
            case .job(let job): job.runSynchronously(on: executor)
            case .block(let body): body()
            }
        }
        return !items.isEmpty
    }
}

/// At file scope, for a C callback that is written where an actor's isolation could be inherited is one that crashes.
private let runReactor: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { context in
    guard let context else { return nil }
    let reactor = Unmanaged<Reactor>.fromOpaque(context).takeRetainedValue()
    pthread_setname_np(pthread_self(), String(reactor.name.prefix(15)))
    reactor.run()
    return nil
}

/// Who is told that a descriptor is ready.
public protocol ReactorHandler: AnyObject {
    /// Called on the reactor's thread. What is not taken is told again in the next turn.
    func ready(_ readiness: Readiness)
}

/// What a descriptor can be ready for.
public struct Readiness: OptionSet, Sendable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// There is something to read, or the other side sends no more.
    public static let reading = Readiness(rawValue: 1)
    public static let writing = Readiness(rawValue: 2)
    /// The connection is broken or closed by both sides. Told always.
    public static let hungUp = Readiness(rawValue: 4)

    fileprivate var mask: UInt32 {
        (contains(.reading) ? EPOLLIN.rawValue : 0) | (contains(.writing) ? EPOLLOUT.rawValue : 0)
    }

    fileprivate init(mask: UInt32) {
        var readiness = Readiness()
        if mask & (EPOLLIN.rawValue | EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0 { readiness.insert(.reading) }
        if mask & EPOLLOUT.rawValue != 0 { readiness.insert(.writing) }
        if mask & (EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0 { readiness.insert(.hungUp) }
        self = readiness
    }
}

/// A call of the system failed.
public struct ReactorError: Error, CustomStringConvertible, Equatable {
    public let call: String
    public let code: Int32

    public init(_ call: String, _ code: Int32) {
        self.call = call
        self.code = code
    }

    public var description: String { "\(call): \(String(cString: strerror(code)))" }
}
