package import Events
package import JSON

/// What one user was told, newest first, and what of it is read.
///
/// One value, kept as one document: the unread count is counted from the list, so the two cannot differ.
package struct Inbox: Sendable, Equatable {
    package struct Item: Sendable, Equatable {
        package let notification: Notification
        package var isRead: Bool

        /// As clients get it, in a list.
        package var json: JSONValue {
            var object = notification.json
            object["read"] = .bool(isRead)
            return .object(object)
        }
    }

    /// How much an inbox keeps. What is beyond falls off at the old end and is counted.
    package struct Limits: Sendable, Equatable {
        package var count: Int
        /// Of JSON, over all notifications. A document must fit into one message.
        package var bytes: Int

        package init(count: Int = 200, bytes: Int = 512 * 1024) {
            self.count = count
            self.bytes = bytes
        }
    }

    /// Newest first, each id once.
    package private(set) var items: [Item]
    /// How many have fallen off.
    package private(set) var dropped: Int
    /// Types that the user does not want: neither stored nor listed nor counted.
    package private(set) var mutedTypes: Set<String>

    package init(items: [Item] = [], dropped: Int = 0, mutedTypes: Set<String> = []) {
        self.items = items
        self.dropped = dropped
        self.mutedTypes = mutedTypes
    }

    /// What the user sees.
    package var visibleItems: [Item] {
        mutedTypes.isEmpty ? items : items.filter { !mutedTypes.contains($0.notification.type) }
    }

    package var unreadCount: Int { visibleItems.count { !$0.isRead } }

    // MARK: Adding

    package enum Insertion: Sendable, Equatable {
        case inserted
        /// It is there already; nothing changed.
        case duplicate
        /// The user does not want it; nothing changed.
        case muted
    }

    /// Adds a notification at its place by time, the later added first among equals.
    package mutating func insert(_ notification: Notification, limits: Limits) -> Insertion {
        if mutedTypes.contains(notification.type) { return .muted }
        if items.contains(where: { $0.notification.id == notification.id }) { return .duplicate }
        let index = items.firstIndex { $0.notification.createdAt <= notification.createdAt } ?? items.endIndex
        items.insert(Item(notification: notification, isRead: false), at: index)
        trim(to: limits)
        return .inserted
    }

    /// The newest stays however large it is: ``Notification/maximumBytes`` bounds it.
    private mutating func trim(to limits: Limits) {
        var kept = 0
        var bytes = 0
        for item in items.prefix(max(limits.count, 1)) {
            bytes += item.json.serialized().count
            if kept > 0, bytes > limits.bytes { break }
            kept += 1
        }
        dropped += items.count - kept
        items.removeSubrange(kept...)
    }

    // MARK: Reading

    /// A place in the list: a notification's id or a time.
    package enum Cursor: Sendable, Equatable {
        case id(String)
        case time(Timestamp)

        /// RFC 3339 is a time, anything else an id.
        package init(_ text: String) {
            self = Timestamp(rfc3339: text).map { .time($0) } ?? .id(text)
        }
    }

    package struct Page: Sendable, Equatable {
        package var items: [Item]
        /// Whether older ones follow.
        package var hasMore: Bool

        package init(items: [Item], hasMore: Bool) {
            self.items = items
            self.hasMore = hasMore
        }
    }

    /// Up to `limit` notifications older than `before`; nil is from the newest on. Nothing is older than an id that is
    /// not there: it has fallen off with all that was older.
    package func page(before: Cursor?, limit: Int) -> Page {
        let visible = visibleItems
        let start: Int
        switch before {
        case nil: start = 0
        case .id(let id): start = (visible.firstIndex { $0.notification.id == id } ?? visible.endIndex - 1) + 1
        case .time(let time):
            start = visible.firstIndex { $0.notification.createdAt < time } ?? visible.endIndex
        }
        let items = visible[start...].prefix(max(limit, 0))
        return Page(items: Array(items), hasMore: items.endIndex < visible.endIndex)
    }

    // MARK: Marking

    package enum Marking: Sendable, Equatable {
        case marked
        case wasRead
        case unknown
    }

    package mutating func markRead(_ id: String) -> Marking {
        guard let index = items.firstIndex(where: { $0.notification.id == id }) else { return .unknown }
        guard !items[index].isRead else { return .wasRead }
        items[index].isRead = true
        return .marked
    }

    /// Marks what is as old as `upTo` or older, so that what came in the meantime stays unread; nil is everything.
    /// Returns the ids of those that were unread.
    package mutating func markAllRead(upTo: Cursor?) -> [String] {
        let start: Int
        switch upTo {
        case nil: start = 0
        case .id(let id): start = items.firstIndex { $0.notification.id == id } ?? items.endIndex
        case .time(let time): start = items.firstIndex { $0.notification.createdAt <= time } ?? items.endIndex
        }
        var marked: [String] = []
        for index in items.indices[start...]
        where !items[index].isRead && !mutedTypes.contains(items[index].notification.type) {
            items[index].isRead = true
            marked.append(items[index].notification.id)
        }
        return marked
    }

    // MARK: Preferences

    /// Hides notifications of these types. Those that are kept come back when their type is no longer muted.
    package mutating func mute(_ types: Set<String>) { mutedTypes = types }
}
