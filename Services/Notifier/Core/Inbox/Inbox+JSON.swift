package import JSON

/// How an inbox is kept in its key-value document.
extension Inbox {
    package var json: JSONValue {
        [
            "items": .array(items.map(\.json)), "dropped": .integer(Int64(dropped)),
            "muted": .array(mutedTypes.sorted().map { .string($0) }),
        ]
    }

    /// Reads what ``json`` wrote; nil for anything else.
    package init?(json: JSONValue) {
        guard let elements = json["items"]?.arrayValue else { return nil }
        var items: [Item] = []
        for element in elements {
            guard let object = element.objectValue, let notification = Notification(json: object) else { return nil }
            items.append(Item(notification: notification, isRead: object["read"]?.boolValue ?? false))
        }
        let dropped = json["dropped"]?.integerValue.flatMap { Int(exactly: $0) } ?? 0
        let muted = json["muted"]?.arrayValue?.compactMap(\.stringValue) ?? []
        self.init(items: items, dropped: dropped, mutedTypes: Set(muted))
    }
}
