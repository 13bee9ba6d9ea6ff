/// The name of a channel: `<namespace>:<name>`, as clients and backends write it.
///
/// A namespace is `[a-z][a-z0-9_-]*`, at most 64 bytes; a name is 1 to 200 bytes of UTF-8 without an empty dot-token. A
/// name without a colon is in namespace `default`. Only valid names can be made, so whoever holds one may use it.
///
/// Two names are equal when their bytes are, as their subjects are: Swift's own `==` would also take `é` written as one
/// character and as two for the same.
public struct ChannelName: Sendable {
    /// The namespace of channels that are written without one.
    public static let defaultNamespace = "default"
    public static let maximumNamespaceLength = 64
    public static let maximumNameLength = 200

    public let namespace: String
    public let name: String

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
        if let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")) {
            try self.init(
                namespace: String(text[..<colon]), name: String(text[text.utf8.index(after: colon)...]))
        } else {
            try self.init(namespace: ChannelName.defaultNamespace, name: text)
        }
    }

    public init(namespace: String, name: String) throws(Invalid) {
        guard ChannelName.isNamespace(namespace) else { throw .namespace }
        guard (1...ChannelName.maximumNameLength).contains(name.utf8.count) else { throw .nameLength }
        let hasEmptyToken = name.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
            .contains(where: \.isEmpty)
        guard !hasEmptyToken else { throw .emptyToken }
        self.namespace = namespace
        self.name = name
    }

    /// Whether `text` may be a namespace.
    public static func isNamespace(_ text: String) -> Bool {
        guard let first = text.utf8.first, text.utf8.count <= maximumNamespaceLength else { return false }
        guard (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(first) else { return false }
        return text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"),
                UInt8(ascii: "-"):
                true
            default: false
            }
        }
    }
}

extension ChannelName: Hashable {
    public static func == (left: ChannelName, right: ChannelName) -> Bool {
        left.name.utf8.elementsEqual(right.name.utf8) && left.namespace.utf8.elementsEqual(right.namespace.utf8)
    }

    public func hash(into hasher: inout Hasher) {
        // The separator keeps ("a", "bc") from hashing like ("ab", "c").
        for text in [namespace, name] {
            let isHashed: Void? = text.utf8.withContiguousStorageIfAvailable { bytes in
                hasher.combine(bytes: UnsafeRawBufferPointer(bytes))
            }
            if isHashed == nil { for byte in text.utf8 { hasher.combine(byte) } }
            hasher.combine(0xFF as UInt8)
        }
    }
}

extension ChannelName: CustomStringConvertible {
    /// `<namespace>:<name>`; a name in namespace `default` is written without it, unless it holds a colon itself.
    public var description: String {
        namespace == ChannelName.defaultNamespace && !name.utf8.contains(UInt8(ascii: ":"))
            ? name : "\(namespace):\(name)"
    }
}
