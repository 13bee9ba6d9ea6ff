/// The rules of subjects: dot-separated tokens, `*` for one token and a final `>` for one or more in a pattern.
public enum SubjectPattern {
    /// Whether a message may be published on `subject`: tokens that are not empty, without wildcards, white space or
    /// control characters.
    public static func isSubject(_ subject: String) -> Bool {
        check(subject) { token in !token.elementsEqual("*".utf8) && !token.elementsEqual(">".utf8) }
    }

    /// Whether `pattern` may be subscribed to: a subject whose tokens may be `*` and whose last one may be `>`.
    public static func isPattern(_ pattern: String) -> Bool {
        guard check(pattern, token: { _ in true }) else { return false }
        return !pattern.utf8.split(separator: dot).dropLast().contains { $0.elementsEqual(">".utf8) }
    }

    /// Whether `pattern` takes `subject`.
    public static func matches(_ pattern: String, _ subject: String) -> Bool {
        var expected = pattern.utf8.split(separator: dot, omittingEmptySubsequences: false).makeIterator()
        var actual = subject.utf8.split(separator: dot, omittingEmptySubsequences: false).makeIterator()
        while let token = expected.next() {
            guard let found = actual.next() else { return false }
            if token.elementsEqual(">".utf8) { return true }
            guard token.elementsEqual("*".utf8) || token.elementsEqual(found) else { return false }
        }
        return actual.next() == nil
    }

    /// Whether some subject is taken by both patterns.
    public static func overlaps(_ left: String, _ right: String) -> Bool {
        var lefts = left.utf8.split(separator: dot, omittingEmptySubsequences: false).makeIterator()
        var rights = right.utf8.split(separator: dot, omittingEmptySubsequences: false).makeIterator()
        while true {
            switch (lefts.next(), rights.next()) {
            case (nil, nil): return true
            case (nil, _), (_, nil): return false
            case (let left?, let right?):
                if left.elementsEqual(">".utf8) || right.elementsEqual(">".utf8) { return true }
                let isWild = left.elementsEqual("*".utf8) || right.elementsEqual("*".utf8)
                guard isWild || left.elementsEqual(right) else { return false }
            }
        }
    }

    /// Whether `pattern` holds a wildcard.
    static func isWild(_ pattern: String) -> Bool { !isSubject(pattern) }

    private static let dot = UInt8(ascii: ".")

    private static func check(_ text: String, token isAllowed: (Substring.UTF8View) -> Bool) -> Bool {
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else { return false }
        return text.utf8.split(separator: dot, omittingEmptySubsequences: false)
            .allSatisfy { !$0.isEmpty && isAllowed(Substring($0).utf8) }
    }
}
