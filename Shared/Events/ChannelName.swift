/// The name of a channel: `<namespace>:<name>`, as clients and backends write it.
///
/// A namespace is `[a-z][a-z0-9_-]*`, at most 64 bytes; a name is 1 to 200 bytes of UTF-8 without an empty dot-token. A
/// name without a colon is in namespace `default`. Only valid names can be made, so whoever holds one may use it.
///
/// Two names are equal when their bytes are, as their subjects are: Swift's own `==` would also take `é` written as one
/// character and as two for the same.
///
/// A copy is a reference to the same text: whoever keeps many of one name, as a gateway does, keeps eight bytes for each.
public struct ChannelName: Sendable {
    /// The namespace of channels that are written without one.
    public static let defaultNamespace = "default"
    public static let maximumNamespaceLength = 64
    public static let maximumNameLength = 200

    private let text: Text

    private final class Text: Sendable {
        /// As ``ChannelName/description`` has it, which no two names share.
        let whole: String
        /// Where the name begins; 0 if the namespace is not written.
        let nameOffset: Int

        init(_ whole: String, nameOffset: Int) {
            self.whole = whole
            self.nameOffset = nameOffset
        }
    }

    /// Why a text is not a channel's name.
    public enum Invalid: Error, Equatable, CustomStringConvertible {
        case namespace
        case nameLength
        case emptyToken

        public var description: String {
            switch self {
            case .namespace:
                "a channel's namespace is a lower-case letter and then lower-case letters, digits, _ or -"
            case .nameLength: "a channel's name has 1 to \(ChannelName.maximumNameLength) bytes"
            case .emptyToken: "a channel's name must not begin or end with a dot or contain two in a row"
            }
        }
    }

    /// Reads `<namespace>:<name>` or `<name>`; the first colon divides, further ones belong to the name.
    public init(_ text: String) throws(Invalid) {
        guard let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")) else {
            try ChannelName.check(name: text.utf8)
            self.text = Text(text, nameOffset: 0)
            return
        }
        let name = text.utf8[text.utf8.index(after: colon)...]
        guard ChannelName.isNamespace(text.utf8[..<colon]) else { throw .namespace }
        try ChannelName.check(name: name)
        if text.utf8[..<colon].elementsEqual(ChannelName.defaultNamespace.utf8),
            !name.contains(UInt8(ascii: ":"))
        {
            self.text = Text(String(Substring(name)), nameOffset: 0)
        } else {
            self.text = Text(text, nameOffset: text.utf8.distance(from: text.startIndex, to: colon) + 1)
        }
    }

    public init(namespace: String, name: String) throws(Invalid) {
        guard ChannelName.isNamespace(namespace) else { throw .namespace }
        try ChannelName.check(name: name.utf8)
        if namespace == ChannelName.defaultNamespace, !name.utf8.contains(UInt8(ascii: ":")) {
            text = Text(name, nameOffset: 0)
        } else {
            text = Text("\(namespace):\(name)", nameOffset: namespace.utf8.count + 1)
        }
    }

    public var namespace: String {
        guard text.nameOffset > 0 else { return ChannelName.defaultNamespace }
        return String(Substring(text.whole.utf8.prefix(text.nameOffset - 1)))
    }

    public var name: String { text.nameOffset == 0 ? text.whole : String(Substring(nameBytes)) }

    /// The name's UTF-8, without making a text of it.
    public var nameBytes: Substring.UTF8View { text.whole.utf8.dropFirst(text.nameOffset) }

    /// Whether `text` may be a namespace.
    public static func isNamespace(_ text: String) -> Bool { isNamespace(text.utf8[...]) }

    private static func isNamespace(_ text: Substring.UTF8View) -> Bool {
        guard let first = text.first, text.count <= maximumNamespaceLength else { return false }
        guard (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(first) else { return false }
        return text.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"),
                UInt8(ascii: "-"):
                true
            default: false
            }
        }
    }

    private static func check(name: some Collection<UInt8>) throws(Invalid) {
        guard (1...maximumNameLength).contains(name.count) else { throw .nameLength }
        var isAfterDot = true
        for byte in name {
            let isDot = byte == UInt8(ascii: ".")
            guard !(isDot && isAfterDot) else { throw .emptyToken }
            isAfterDot = isDot
        }
        guard !isAfterDot else { throw .emptyToken }
    }
}

extension ChannelName: Hashable {
    public static func == (left: ChannelName, right: ChannelName) -> Bool {
        if left.text === right.text { return true }
        let (left, right) = (left.text.whole.utf8, right.text.whole.utf8)
        guard left.count == right.count else { return false }
        let isEqual: Bool?? = left.withContiguousStorageIfAvailable { left in
            right.withContiguousStorageIfAvailable { right in
                areEqual(UnsafeRawBufferPointer(left), UnsafeRawBufferPointer(right))
            }
        }
        return (isEqual ?? nil) ?? left.elementsEqual(right)
    }

    /// Of equally many bytes; eight at a time, since every message asks.
    private static func areEqual(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
        var index = 0
        while index + 8 <= left.count {
            let (one, other) = (
                left.loadUnaligned(fromByteOffset: index, as: UInt64.self),
                right.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            )
            if one != other { return false }
            index += 8
        }
        while index < left.count {
            if left[index] != right[index] { return false }
            index += 1
        }
        return true
    }

    public func hash(into hasher: inout Hasher) {
        let isHashed: Void? = text.whole.utf8.withContiguousStorageIfAvailable { bytes in
            hasher.combine(bytes: UnsafeRawBufferPointer(bytes))
        }
        if isHashed == nil { for byte in text.whole.utf8 { hasher.combine(byte) } }
        // As the end of any text is marked, so that two names in a row do not hash like two others.
        hasher.combine(0xFF as UInt8)
    }
}

extension ChannelName: CustomStringConvertible {
    /// `<namespace>:<name>`; a name in namespace `default` is written without it, unless it holds a colon itself.
    public var description: String { text.whole }
}
