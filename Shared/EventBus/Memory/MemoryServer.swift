internal import Dispatch
internal import Events
internal import Synchronization

/// The part of ``MemoryBus`` that plays nats-server: one broker behind a lock, a thread that delivers, and timers.
///
/// Decides under the lock, acts outside: callbacks, continuations and timers never run while it is held, so that they
/// may call the bus again.
final class MemoryServer: Sendable {
    let clock: any BusClock
    private let broker = Mutex(MemoryBroker())
    private let queue = DispatchQueue(label: "apus.memory-bus")
    private let connections = Atomic<Int>(0)

    init(clock: any BusClock) { self.clock = clock }

    func makeConnection() -> Int { connections.add(1, ordering: .relaxed).newValue }

    /// The only way to the broker.
    func perform<Value: Sendable>(
        _ body: (inout MemoryBroker, Timestamp) throws(BusError) -> Value
    ) throws(BusError) -> Value {
        let now = clock.now
        var effects: [@Sendable () -> Void] = []
        var wakeTime: Timestamp?
        var mustDeliver = false
        let result: Result<Value, BusError> = broker.withLock { broker in
            let result: Result<Value, BusError>
            do throws(BusError) {
                result = .success(try body(&broker, now))
            } catch {
                result = .failure(error)
            }
            effects = broker.takeEffects()
            wakeTime = broker.takeWakeTime()
            mustDeliver = !broker.queue.isEmpty && !broker.isDelivering
            if mustDeliver { broker.isDelivering = true }
            return result
        }
        if mustDeliver { queue.async { self.deliver() } }
        if let wakeTime { schedule(wakeTime, now: now) }
        for effect in effects { effect() }
        return try result.get()
    }

    private func schedule(_ time: Timestamp, now: Timestamp) {
        clock.schedule(after: now.duration(to: time)) { [weak self] in
            guard let self else { return }
            try? perform { broker, now throws(BusError) in broker.wake(time, now: now) }
        }
    }

    /// Runs on the delivery thread until nothing is left, one item at a time, in order.
    private func deliver() {
        while true {
            let items = broker.withLock { broker in
                let items = broker.takeQueue()
                if items.isEmpty { broker.isDelivering = false }
                return items
            }
            if items.isEmpty { return }
            for item in items {
                switch item {
                case .action(let action): action()
                case .message(let id, let message):
                    guard let subscription = broker.withLock({ $0.beginDelivery(to: id) }) else { continue }
                    if subscription.dropped > 0 { subscription.onDrop(subscription.pattern, subscription.dropped) }
                    subscription.onMessage(message)
                }
            }
        }
    }
}
