/// A pattern for channels' names as Centrifugo's `channels` method takes it: `*` any bytes, `?` one byte, `[abc]`, `[a-c]`
/// and `[!a-c]` one of some, `{a,b}` one or the other.
package struct ChannelPattern: Sendable {
    private enum Element: Sendable, Equatable {
        case byte(UInt8)
        case any
        case anyRun
        case oneOf(Set<UInt8>, isNegated: Bool)
    }

    /// One for each way to choose among the braces.
    private let alternatives: [[Element]]

    package static let maximumLength = 256
    private static let maximumAlternatives = 64

    /// Nil for a pattern that is too long, has too many alternatives, or a bracket or brace that does not end.
    package init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count <= Self.maximumLength, let texts = Self.expand(bytes) else { return nil }
        var alternatives: [[Element]] = []
        for text in texts {
            guard let elements = Self.elements(text) else { return nil }
            alternatives.append(elements)
        }
        self.alternatives = alternatives
    }

    package func matches(_ name: String) -> Bool {
        let bytes = Array(name.utf8)
        return alternatives.contains { Self.matches($0, bytes) }
    }

    /// Writes out the braces, which do not nest.
    private static func expand(_ bytes: [UInt8]) -> [[UInt8]]? {
        var expanded: [[UInt8]] = [[]]
        var rest = bytes[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "{") else {
                for index in expanded.indices { expanded[index].append(byte) }
                continue
            }
            guard let end = rest.firstIndex(of: UInt8(ascii: "}")) else { return nil }
            let choices = rest[..<end].split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
            rest = rest[(end + 1)...]
            guard expanded.count * choices.count <= maximumAlternatives else { return nil }
            expanded = expanded.flatMap { head in choices.map { head + $0 } }
        }
        return expanded
    }

    private static func elements(_ bytes: [UInt8]) -> [Element]? {
        var elements: [Element] = []
        var rest = bytes[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "*"): if elements.last != .anyRun { elements.append(.anyRun) }
            case UInt8(ascii: "?"): elements.append(.any)
            case UInt8(ascii: "["):
                guard let end = rest.firstIndex(of: UInt8(ascii: "]")) else { return nil }
                elements.append(characterClass(rest[..<end]))
                rest = rest[(end + 1)...]
            default: elements.append(.byte(byte))
            }
        }
        return elements
    }

    private static func characterClass(_ bytes: ArraySlice<UInt8>) -> Element {
        var rest = bytes
        let isNegated = rest.first == UInt8(ascii: "!")
        if isNegated { rest.removeFirst() }
        var set: Set<UInt8> = []
        while let first = rest.popFirst() {
            if rest.count >= 2, rest.first == UInt8(ascii: "-"), let last = rest.dropFirst().first, last >= first {
                set.formUnion(first...last)
                rest = rest.dropFirst(2)
            } else {
                set.insert(first)
            }
        }
        return .oneOf(set, isNegated: isNegated)
    }

    /// Takes time of at most the product of both lengths: after a mismatch only the last star is tried again.
    private static func matches(_ pattern: [Element], _ text: [UInt8]) -> Bool {
        var (inPattern, inText) = (0, 0)
        var retry: (pattern: Int, text: Int)?
        while inText < text.count {
            if inPattern < pattern.count, pattern[inPattern] == .anyRun {
                retry = (inPattern + 1, inText)
                inPattern += 1
            } else if inPattern < pattern.count, isMatch(pattern[inPattern], text[inText]) {
                inPattern += 1
                inText += 1
            } else if let last = retry {
                retry = (last.pattern, last.text + 1)
                (inPattern, inText) = (last.pattern, last.text + 1)
            } else {
                return false
            }
        }
        return pattern[inPattern...].allSatisfy { $0 == .anyRun }
    }

    private static func isMatch(_ element: Element, _ byte: UInt8) -> Bool {
        switch element {
        case .byte(let wanted): wanted == byte
        case .any, .anyRun: true
        case .oneOf(let set, let isNegated): set.contains(byte) != isNegated
        }
    }
}
