import EventBus
import TestKit
import Testing

@Suite("A subject pattern")
struct SubjectPatternTests {
    @Test(
        "takes what it says",
        arguments: [
            ("a", "a", true), ("a", "b", false), ("a", "a.b", false), ("a.*", "a.b", true), ("a.*", "a", false),
            ("a.*", "a.b.c", false), ("a.>", "a.b.c", true), ("a.>", "a", false), (">", "a", true), ("*", "a.b", false),
            ("*.b.*", "a.b.c", true), ("a.*.>", "a.b", false), ("a.*.>", "a.b.c.d", true),
        ])
    func matches(pattern: String, subject: String, expected: Bool) {
        #expect(SubjectPattern.matches(pattern, subject) == expected)
    }

    @Test(
        "is told from a subject and from neither",
        arguments: [
            ("a.b", true, true), ("a.*", false, true), ("a.>", false, true), (">", false, true),
            ("a.>.b", false, false),
            ("", false, false), ("a..b", false, false), (".a", false, false), ("a.", false, false),
            ("a b", false, false),
            ("a\n", false, false), ("a*b", true, true), ("ä.ö", true, true),
        ])
    func validity(text: String, isSubject: Bool, isPattern: Bool) {
        #expect(SubjectPattern.isSubject(text) == isSubject)
        #expect(SubjectPattern.isPattern(text) == isPattern)
    }

    @Test("overlaps another exactly when some subject is taken by both", arguments: 0..<50 as Range<UInt64>)
    func overlaps(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        func make(_ tokens: [String], isPattern: Bool) -> String {
            var parts = (0..<Int.random(in: 1...3, using: &generator)).map { _ in
                tokens.randomElement(using: &generator)!
            }
            if isPattern, Int.random(in: 0...3, using: &generator) == 0 { parts[parts.count - 1] = ">" }
            return parts.joined(separator: ".")
        }
        // Every subject of up to four tokens of two letters: enough to witness any overlap of such patterns.
        var subjects = [["a"], ["b"]]
        for _ in 0..<3 { subjects += subjects.flatMap { [$0 + ["a"], $0 + ["b"]] } }
        let all = Set(subjects.map { $0.joined(separator: ".") })
        for _ in 0..<50 {
            let (left, right) = (make(["a", "b", "*"], isPattern: true), make(["a", "b", "*"], isPattern: true))
            let witness = all.contains { SubjectPattern.matches(left, $0) && SubjectPattern.matches(right, $0) }
            #expect(SubjectPattern.overlaps(left, right) == witness, "seed \(seed): \(left) and \(right)")
        }
    }
}
