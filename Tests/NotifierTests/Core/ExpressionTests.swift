import JSON
import NotifierCore
import TestKit
import Testing

@Suite struct ExpressionTests {
    static let fields: JSONObject = [
        "quantity": 3, "threshold": 5, "price": 2.5, "status": "shipped", "express": true, "note": nil,
        "customer": ["address": ["city": "Oslo"]], "tags": ["a"], "large": .integer(.max), "has": 1,
    ]

    @Test(
        "a condition over the fields of an event is evaluated",
        arguments: [
            ("quantity < threshold", true),
            ("quantity >= threshold * 1.2", false),
            ("6 >= threshold * 1.2", true),
            ("quantity <= 3 && quantity >= 3", true),
            ("quantity > 3 || quantity != 3", false),
            ("quantity == 3.0", true),
            ("1 + 2 * 3 == 7", true),
            ("(1 + 2) * 3 == 9", true),
            ("10 - 3 - 2 == 5", true),
            ("8 / 4 / 2 == 1", true),
            ("7 / 2 == 3.5", true),
            ("-quantity < 0", true),
            ("--quantity == 3", true),
            ("1e3 == 1000", true),
            ("status == 'shipped'", true),
            ("status == \"shipped\"", true),
            ("status != 'lost' && express", true),
            ("'a' < 'b'", true),
            ("'it\\'s' == \"it's\"", true),
            ("!express", false),
            ("!(express && quantity > 3)", true),
            ("customer.address.city == 'Oslo'", true),
            ("status == 3", false),
            ("status != 3", true),
            ("note == null", true),
            ("quantity == null", false),
            ("has(quantity)", true),
            ("has(ghost)", false),
            ("has(customer.address.zip)", false),
            ("has(ghost) && ghost > 3", false),
            ("!has(ghost) || ghost > 3", true),
            ("has == 1", true),
            ("true || ghost", true),
            ("false && ghost", false),
            ("false || true && false", false),
            ("large == 9223372036854775807", true),
            ("large + 1 > 0 && large * large > large", true),
            ("price * 2 == 5", true),
        ])
    func evaluation(source: String, expected: Bool) throws {
        #expect(try Expression(source).holds(for: Self.fields) == expected)
    }

    @Test(
        "what cannot be told is an error that says why and where",
        arguments: [
            ("quantity < minimum", "the field minimum is missing (column 12)"),
            ("customer.address.zip == 1", "the field customer.address.zip is missing (column 1)"),
            ("status < 3", "a string and a number cannot be compared by < (column 8)"),
            ("note < 3", "null and a number cannot be compared by < (column 6)"),
            ("status * 2 > 1", "the field status is a string, but * takes numbers (column 1)"),
            ("1 < -status", "the field status is a string, but - takes numbers (column 6)"),
            ("quantity / 0 > 1", "division by zero (column 10)"),
            ("quantity / (threshold - 5) > 1", "division by zero (column 10)"),
            ("1e308 * 10 > 1", "the result is too large for a number (column 7)"),
            ("quantity", "the result is a number, not true or false (column 1)"),
            ("quantity && express", "the field quantity is a number, not true or false (column 1)"),
            ("!status", "the field status is a string, not true or false (column 2)"),
            ("tags == tags", "an array cannot be compared (column 6)"),
            ("customer != null", "an object cannot be compared (column 10)"),
        ])
    func evaluationErrors(source: String, expected: String) throws {
        let expression = try Expression(source)
        let error = #expect(throws: EvaluationError.self) { try expression.holds(for: Self.fields) }
        #expect(error?.description == expected)
    }

    @Test(
        "a text that is no expression is refused, with the place",
        arguments: [
            ("", 1), ("quantity <", 11), ("quantity < < 3", 12), ("(quantity < 3", 14), ("quantity < 3)", 13),
            ("quantity = 3", 10), ("a & b", 3), ("a | b", 3), ("quantity < 3 threshold", 14), ("1 < 2 < 3", 7),
            ("'open", 1), ("'\\n' == status", 2), ("3rd > 1", 1), ("1. > 1", 1), ("1e > 1", 1), ("a..b > 1", 3),
            ("a. > 1", 3), ("a.1 > 1", 3), ("$a > 1", 1), ("has() ", 5), ("has(1)", 5), ("has(a", 6), ("1e999 > 1", 1),
            ("a ; b", 3),
        ])
    func syntaxErrors(source: String, column: Int) {
        let error = #expect(throws: ExpressionSyntaxError.self) { try Expression(source) }
        #expect(error?.column == column, "\(error?.description ?? "")")
    }

    @Test("nesting and length are bounded")
    func bounds() throws {
        let deep = String(repeating: "(", count: 500)
        #expect(throws: ExpressionSyntaxError.self) { try Expression(deep) }
        #expect(throws: ExpressionSyntaxError.self) { try Expression(String(repeating: "!", count: 500) + "true") }
        let chain = Array(repeating: "1", count: 500).joined(separator: "+")
        #expect(try Expression("\(chain) == 500").holds(for: [:]))
        #expect(throws: ExpressionSyntaxError.self) { try Expression(chain + "+" + chain) }
    }

    @Test("no text and no event makes reading or evaluating trap", arguments: 0..<40)
    func fuzz(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let pieces = [
            "quantity", "threshold", "large", "ghost", "customer.address", "tags", "note", "status", "true", "null",
            "0", "1", "1.5", "9223372036854775807", "1e308", "'x'", "\"", "(", ")", "+", "-", "*", "/", "!", "<", "<=",
            "==", "!=", ">", "&&", "||", "has(", ".", " ", "é", "🙂", "\u{0}", "=", "&", "e", "\\",
        ]
        var evaluated = 0
        for _ in 0..<500 {
            let count = Int.random(in: 1...14, using: &random)
            let source = (0..<count).map { _ in pieces.randomElement(using: &random) ?? "" }.joined(
                separator: Bool.random(using: &random) ? " " : "")
            guard let expression = try? Expression(source) else { continue }
            evaluated += 1
            _ = try? expression.holds(for: Self.fields)
            _ = try? expression.holds(for: [:])
            #expect(throws: Never.self, "seed \(seed), \(source)") { try Expression(expression.source) }
        }
        #expect(evaluated > 0, "seed \(seed) made no expression")
    }

    @Test("arithmetic agrees with doubles wherever those are exact", arguments: 0..<20)
    func arithmetic(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<100 {
            let (a, b) = (Int64.random(in: -1000...1000, using: &random), Int64.random(in: 1...1000, using: &random))
            let fields: JSONObject = ["a": .integer(a), "b": .integer(b)]
            let (x, y) = (Double(a), Double(b))
            for (text, expected) in [("a+b", x + y), ("a-b", x - y), ("a*b", x * y), ("a/b", x / y)] {
                let value = try Expression(text).value(for: fields)?.doubleValue
                #expect(value == expected, "seed \(seed): \(text) with \(a), \(b)")
            }
        }
    }
}
