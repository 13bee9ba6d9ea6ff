/// Which types of events a rule is about: a type, or a pattern in which `*` stands for any text, dots included.
package struct EventPattern: Sendable, Hashable, CustomStringConvertible {
    package let text: String

    package init(_ text: String) { self.text = text }

    package var description: String { text }

    /// Takes time in proportion to the product of both lengths, at the worst.
    package func matches(_ type: String) -> Bool {
        let pattern = Array(text.utf8)
        let type = Array(type.utf8)
        let star = UInt8(ascii: "*")
        var (inPattern, inType) = (0, 0)
        // Where to go on when the text after the last star turns out not to match: one byte further.
        var retry: (pattern: Int, type: Int)?
        while inType < type.count {
            if inPattern < pattern.count, pattern[inPattern] == star {
                inPattern += 1
                retry = (inPattern, inType)
            } else if inPattern < pattern.count, pattern[inPattern] == type[inType] {
                inPattern += 1
                inType += 1
            } else if let last = retry {
                retry = (last.pattern, last.type + 1)
                (inPattern, inType) = (last.pattern, last.type + 1)
            } else {
                return false
            }
        }
        return pattern[inPattern...].allSatisfy { $0 == star }
    }
}
