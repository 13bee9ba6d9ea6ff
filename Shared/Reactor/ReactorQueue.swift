/// What other threads, and the reactor's own, have handed to a reactor.
struct ReactorQueue {
    enum Item {
        case job(UnownedJob)
        case block(@Sendable () -> Void)
    }

    private var items: [Item] = []
    /// What waits until there is nothing else to be done.
    private var last: [@Sendable () -> Void] = []
    /// Whether the reactor sleeps, or is about to, so that it must be woken.
    var isWaiting = false

    /// - Returns: whether the reactor must be woken for it. Only the first that comes while it sleeps pays for that.
    mutating func append(_ item: Item) -> Bool {
        items.append(item)
        defer { isWaiting = false }
        return isWaiting
    }

    /// - Returns: whether the reactor must be woken for it.
    mutating func appendLast(_ body: @escaping @Sendable () -> Void) -> Bool {
        last.append(body)
        defer { isWaiting = false }
        return isWaiting
    }

    /// The reactor is about to sleep.
    /// - Returns: whether it may: nothing is queued.
    mutating func beginWaiting() -> Bool {
        isWaiting = items.isEmpty && last.isEmpty
        return isWaiting
    }

    mutating func take() -> [Item] {
        guard !items.isEmpty else { return [] }
        defer { items = [] }
        return items
    }

    mutating func takeLast() -> [@Sendable () -> Void] {
        guard !last.isEmpty else { return [] }
        defer { last = [] }
        return last
    }
}
