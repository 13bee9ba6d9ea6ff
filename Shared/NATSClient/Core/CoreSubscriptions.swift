internal import Prefetch

/// Whom the messages of a subscription are for.
package protocol CoreReceiver: AnyObject, Sendable {
    /// Called on the reactor's thread. It must not block, and keep nothing of the message.
    func receive(_ message: CoreMessage)

    /// A message for it comes in a moment, and others for others before: it may have memory fetched (see ``Prefetch``).
    /// - Parameter step: how many references away from the receiver it lies. Called for step 1, and after the other
    ///   receivers have had theirs, for step 2.
    func fetch(_ step: Int)
}

extension CoreReceiver {
    package func fetch(_ step: Int) {}
}

/// The subscriptions of a connection, by the number that each has with the server: an array, since a message says the
/// number, and 10,000 channels are as cheap to find as one.
///
/// A number is given out again only when no message of its former subscription can come any more: when the server has
/// answered something that was sent after the end of it.
package struct CoreSubscriptions {
    private struct Slot {
        var subject = ""
        var receiver: (any CoreReceiver)?
        /// Which of the subscriptions that the number has had.
        var generation: UInt32 = 0
    }

    /// Names a subscription, this one and none that later has its number.
    package struct ID: Hashable, Sendable {
        let number: Int
        fileprivate let generation: UInt32
    }

    package struct Subscription: Sendable {
        package let id: ID
        package let subject: String
        package let queue: String?
        package let receiver: any CoreReceiver
    }

    private var slots: [Slot] = []
    /// Few have one.
    private var queues: [Int: String] = [:]
    private var free: [Int] = []
    /// Ended, and the server may not know yet; oldest first.
    private var retired: [Int] = []

    private(set) var count = 0
    /// How many numbers cannot be used again yet.
    var retiredCount: Int { retired.count }
    /// What every number is below.
    var end: Int { slots.count }

    mutating func add(_ subject: String, queue: String?, _ receiver: any CoreReceiver) -> ID {
        count += 1
        let number: Int
        if let reused = free.popLast() {
            number = reused
        } else {
            number = slots.count
            slots.append(Slot())
        }
        slots[number].subject = subject
        slots[number].receiver = receiver
        if let queue { queues[number] = queue }
        return ID(number: number, generation: slots[number].generation)
    }

    /// - Parameter isKnown: whether messages of it may still come.
    /// - Returns: false if it has ended before.
    mutating func remove(_ id: ID, isKnown: Bool) -> Bool {
        guard id.number < slots.count, slots[id.number].generation == id.generation, slots[id.number].receiver != nil
        else { return false }
        slots[id.number] = Slot(generation: id.generation &+ 1)
        queues[id.number] = nil
        count -= 1
        if isKnown { retired.append(id.number) } else { free.append(id.number) }
        return true
    }

    mutating func removeAll() { self = CoreSubscriptions() }

    /// The server has answered what was sent after the first `count` retired ones were ended.
    mutating func release(_ count: Int) {
        free += retired.prefix(count)
        retired.removeFirst(min(count, retired.count))
    }

    /// Whom a message with this number is for.
    func receiver(of number: Int) -> (any CoreReceiver)? { number < slots.count ? slots[number].receiver : nil }

    /// Has all that these messages need fetched at the same time, since of very many subscriptions each is in no cache.
    func fetch(for messages: [CoreMessage]) {
        slots.withUnsafeBufferPointer { slots in
            guard let first = slots.baseAddress else { return }
            let numbers = messages.lazy.map(\.subscription).filter { $0 < slots.count }
            for number in numbers { Prefetch.memory(first + number) }
            for number in numbers {
                if let receiver = slots[number].receiver { Prefetch.object(receiver) }
            }
            for step in 1...2 {
                for number in numbers { slots[number].receiver?.fetch(step) }
            }
        }
    }

    /// From the number `first` on as many as make about `limit` bytes of commands.
    /// - Returns: the number to go on from.
    func write(from first: Int, limit: Int, to commands: inout CoreCommands) -> Int {
        var number = first
        while number < slots.count, commands.bytes.count < limit {
            if slots[number].receiver != nil {
                commands.subscribe(slots[number].subject, queue: queues[number], number: number)
            }
            number += 1
        }
        return number
    }

    var all: [Subscription] {
        slots.indices.compactMap { number in
            slots[number].receiver.map {
                Subscription(
                    id: ID(number: number, generation: slots[number].generation), subject: slots[number].subject,
                    queue: queues[number], receiver: $0)
            }
        }
    }
}
