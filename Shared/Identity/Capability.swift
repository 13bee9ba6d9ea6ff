public import Events

/// A permission that a token gives on channels, whatever their namespaces say.
public struct Capability: Sendable, Equatable {
    public enum Operation: String, Sendable, CaseIterable {
        case subscribe = "sub"
        case publish = "pub"
        case history = "hst"
        case presence = "prs"
    }

    /// How ``channels`` are meant.
    public enum Match: String, Sendable {
        /// Names as they are.
        case exact
        /// `*` stands for any bytes, none included.
        case wildcard
    }

    public var channels: [String]
    public var match: Match
    public var operations: Set<Operation>

    public init(channels: [String], match: Match = .exact, operations: Set<Operation>) {
        self.channels = channels
        self.match = match
        self.operations = operations
    }

    /// Whether it allows `operation` on the channel that is written `channel`.
    public func allows(channel: String, operation: Operation) -> Bool {
        guard operations.contains(operation) else { return false }
        switch match {
        case .exact: return channels.contains(channel)
        case .wildcard: return channels.contains { Capability.matches(Array($0.utf8), Array(channel.utf8)) }
        }
    }

    /// The same for a channel of namespace `default`, however the token writes it: `default:news` or `news`.
    public func allows(channel: ChannelName, operation: Operation) -> Bool {
        let full = "\(channel.namespace):\(channel.name)"
        if allows(channel: full, operation: operation) { return true }
        let short = channel.description
        return short != full && allows(channel: short, operation: operation)
    }

    /// Takes time of at most the product of both lengths: after a mismatch only the last star is tried again.
    private static func matches(_ pattern: [UInt8], _ text: [UInt8]) -> Bool {
        let star = UInt8(ascii: "*")
        var (inPattern, inText) = (0, 0)
        var retry: (pattern: Int, text: Int)?
        while inText < text.count {
            if inPattern < pattern.count, pattern[inPattern] == star {
                retry = (inPattern + 1, inText)
                inPattern += 1
            } else if inPattern < pattern.count, pattern[inPattern] == text[inText] {
                inPattern += 1
                inText += 1
            } else if let last = retry {
                retry = (last.pattern, last.text + 1)
                (inPattern, inText) = (last.pattern, last.text + 1)
            } else {
                return false
            }
        }
        return pattern[inPattern...].allSatisfy { $0 == star }
    }
}
