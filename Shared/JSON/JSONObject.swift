internal import OrderedCollections

/// The members of a JSON object, in the order in which they were first written. Looking one up takes constant time.
public struct JSONObject: Sendable, ExpressibleByDictionaryLiteral, RandomAccessCollection {
    private var members: OrderedDictionary<String, JSONValue>

    public init() { members = [:] }

    public init(minimumCapacity: Int) { members = OrderedDictionary(minimumCapacity: minimumCapacity) }

    /// The last of several equal keys wins.
    public init(_ elements: some Sequence<(String, JSONValue)>) {
        members = OrderedDictionary(elements, uniquingKeysWith: { $1 })
    }

    public init(dictionaryLiteral elements: (String, JSONValue)...) { self.init(elements) }

    /// The member `key`. Setting nil removes it; setting a new one adds it at the end.
    public subscript(key: String) -> JSONValue? {
        get { members[key] }
        set { members[key] = newValue }
    }

    public var keys: [String] { Array(members.keys) }

    /// The members with `other`'s put over them.
    public func merging(_ other: JSONObject) -> JSONObject {
        var merged = self
        for (key, value) in other { merged[key] = value }
        return merged
    }

    public var startIndex: Int { 0 }
    public var endIndex: Int { members.count }
    public subscript(position: Int) -> (key: String, value: JSONValue) {
        let element = members.elements[position]
        return (element.key, element.value)
    }
}

extension JSONObject: Hashable {
    /// Equal when they hold the same members, in whatever order.
    public static func == (left: JSONObject, right: JSONObject) -> Bool {
        left.count == right.count && left.members.allSatisfy { right.members[$0.key] == $0.value }
    }

    public func hash(into hasher: inout Hasher) {
        // Commutative, since order does not count.
        var combined = 0
        for (key, value) in members {
            var member = Hasher()
            member.combine(key)
            member.combine(value)
            combined ^= member.finalize()
        }
        hasher.combine(combined)
    }
}
