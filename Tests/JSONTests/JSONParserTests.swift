import JSON
import TestKit
import Testing

@Suite("JSON")
struct JSONParserTests {
    static let valid: [(String, JSONValue)] = [
        ("null", nil), ("true", true), ("false", false), ("0", 0), ("-0", 0), ("-12", -12),
        ("9223372036854775807", .integer(.max)),
        ("-9223372036854775808", .integer(.min)), ("1.5", 1.5), ("1e3", 1000.0), ("-2.5E-3", -0.0025), ("0.0", 0.0),
        ("\"\"", ""),
        (#""a\"\\\/\b\f\n\r\t""#, "a\"\\/\u{8}\u{C}\n\r\t"), (#""\u00e9\uD83D\uDE42""#, "é🙂"), (#""\u0000""#, "\u{0}"),
        ("\"é€🙂\"", "é€🙂"),
        ("[]", []), ("[1, [2], {}]", [1, [2], [:]]), ("{}", [:]),
        (#"{"a":1,"b":{"c":null}}"#, ["a": 1, "b": ["c": nil]]),
        (" \t\r\n[ 1 , 2 ]\n", [1, 2]), (#"{"":0}"#, ["": 0]), ("\"\u{7F}\"", "\u{7F}"), (#"{"a":1,"a":2}"#, ["a": 2]),
        ("5e-324", .double(.leastNonzeroMagnitude)), ("1.7976931348623157e308", .double(.greatestFiniteMagnitude)),
    ]

    static let invalid = [
        "", " ", "nul", "nulll", "True", "+1", "01", "-", "1.", ".5", "1e", "1e+", "0x1", "NaN", "Infinity",
        "-Infinity", "'a'", "\"", "\"a",
        "\"\\\"", #""\x""#, #""\u12""#, #""\u12G4""#, #""\uD800""#, #""\uDC00""#, #""\uD800\u0041""#,
        #""\uD800\uD800""#, #""\uDE42\uD83D""#,
        "\"\n\"", "\"\t\"", "\"\u{1F}\"", "[", "]", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "{", "}", "{\"a\"", "{\"a\":",
        "{\"a\":1", "{\"a\":1,",
        "{\"a\":1,}", "{a:1}", "{1:2}", "{\"a\" 1}", "{\"a\":1 \"b\":2}", "[1}", "{]", "1 2", "[] []", "// c\n1",
        "/* */1", "\u{FEFF}1", "1,", "\u{0}",
        "tru\u{0}e", "[\u{B}1]", "\u{A0}1",
    ]

    @Test("that is valid is read, and by the scanner taken", arguments: valid)
    func parses(text: String, value: JSONValue) throws {
        #expect(try JSONValue(parsing: text) == value)
        #expect(JSONScanner.isValid(Array(text.utf8)))
        #expect(try JSONValue(parsing: value.serialized()) == value)
    }

    @Test("that is not valid is an error for both", arguments: invalid)
    func refuses(text: String) {
        #expect(throws: JSONError.self) { try JSONValue(parsing: text) }
        #expect(!JSONScanner.isValid(Array(text.utf8)))
    }

    @Test(
        "with numbers that cannot be held is an error",
        arguments: [
            "9223372036854775808", "-9223372036854775809", "1e999", "-1e999", "123456789012345678901234567890",
            "[1e400]",
        ])
    func largeNumbers(text: String) { #expect(throws: JSONError.self) { try JSONValue(parsing: text) } }

    @Test(
        "in bytes that are not UTF-8 is an error for both",
        arguments: [
            [0x22, 0x80, 0x22], [0x22, 0xC3, 0x22], [0x22, 0xC0, 0xAF, 0x22], [0x22, 0xE0, 0x80, 0xAF, 0x22],
            [0x22, 0xED, 0xA0, 0x80, 0x22],
            [0x22, 0xF0, 0x80, 0x80, 0x80, 0x22], [0x22, 0xF4, 0x90, 0x80, 0x80, 0x22], [0x22, 0xFF, 0x22],
            [0x22, 0xE2, 0x82, 0x22], [0xEF, 0xBB, 0xBF, 0x31],
        ] as [[UInt8]])
    func notUTF8(bytes: [UInt8]) {
        #expect(throws: JSONError.self) { try JSONValue(parsing: bytes) }
        #expect(!JSONScanner.isValid(bytes))
    }

    @Test("cut anywhere is an error or a value, the same for both, and never a trap", arguments: valid.map(\.0))
    func prefixes(text: String) {
        let bytes = Array(text.utf8)
        for length in 0..<bytes.count {
            let prefix = Array(bytes.prefix(length))
            #expect(((try? JSONValue(parsing: prefix)) != nil) == JSONScanner.isValid(prefix), "\(length) bytes")
        }
    }

    @Test("nested as deep as allowed is read, one deeper is not, and a million deep never traps")
    func depth() {
        for (open, close) in [("[", "]"), (#"{"a":"#, "}")] {
            func nested(_ depth: Int) -> [UInt8] {
                Array(
                    (String(repeating: open, count: depth - 1) + (open == "[" ? "[]" : "{}")
                        + String(repeating: close, count: depth - 1)).utf8)
            }
            #expect((try? JSONValue(parsing: nested(128))) != nil)
            #expect(throws: JSONError.self) { try JSONValue(parsing: nested(129)) }
            #expect((try? JSONValue(parsing: nested(20), maximumDepth: 20)) != nil)
            #expect(throws: JSONError.self) { try JSONValue(parsing: nested(21), maximumDepth: 20) }
            #expect(throws: JSONError.self) { try JSONValue(parsing: nested(1_000_000)) }
            #expect(!JSONScanner.isValid(Array(String(repeating: open, count: 1_000_000).utf8)))
        }
        #expect(throws: JSONError.self) { try JSONValue(parsing: "[]", maximumDepth: 0) }
        #expect((try? JSONValue(parsing: "1", maximumDepth: 0)) != nil)
    }

    @Test("errors say where, and quote nothing")
    func errors() {
        let error = #expect(throws: JSONError.self) { try JSONValue(parsing: #"{"password":"geheim",}"#) }
        #expect(error?.offset == 21)
        #expect(error?.description.contains("geheim") == false)
        let large = #expect(throws: JSONError.self) { try JSONValue(parsing: #"{"geheim":1e999}"#) }
        #expect(large?.description.contains("geheim") == false)
        #expect(large?.description.contains("1e999") == false)
    }

    @Test(
        "random bytes mutated from valid texts: the scanner says what the parser says",
        arguments: 0..<100 as Range<UInt64>)
    func mutations(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let alphabet =
            Array("{}[]\",:\\/ \n\t0123456789.eE+-truefalsenullubD83\u{0}é".utf8) + [0x80, 0xC3, 0xED, 0xF4, 0xFF]
        for _ in 0..<200 {
            var bytes = Array(Self.valid.randomElement(using: &generator)!.0.utf8)
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let index = Int.random(in: 0...bytes.count, using: &generator)
                switch Int.random(in: 0...2, using: &generator) {
                case 0: bytes.insert(alphabet.randomElement(using: &generator)!, at: index)
                case 1 where index < bytes.count: bytes.remove(at: index)
                default: if index < bytes.count { bytes[index] = alphabet.randomElement(using: &generator)! }
                }
            }
            let isValid = JSONScanner.isValid(bytes)
            let value = try? JSONValue(parsing: bytes)
            // The scanner builds no value, so numbers too large for one, and a NUL in a name, are the parser's alone.
            if value != nil { #expect(isValid, "seed \(seed): \(bytes)") }
            if isValid && value == nil {
                let text = String(decoding: bytes, as: UTF8.self)
                let isLargeNumber = text.contains(/[0-9]{19}|[eE]\+?[0-9]{3}/)
                #expect(isLargeNumber || text.contains(#"\u0000"#), "seed \(seed): \(text)")
            }
            if let value { #expect((try? JSONValue(parsing: value.serialized())) == value, "seed \(seed)") }
        }
    }

    @Test("random values come back from their text", arguments: 0..<100 as Range<UInt64>)
    func roundTrip(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<30 {
            let value = JSONValue.random(depth: 4, using: &generator)
            let bytes = value.serialized()
            #expect(JSONScanner.isValid(bytes), "seed \(seed)")
            #expect(try JSONValue(parsing: bytes) == value, "seed \(seed): \(value)")
        }
    }
}

extension JSONValue {
    /// Any value, with the awkward ones often.
    fileprivate static func random(depth: Int, using generator: inout SeededGenerator) -> JSONValue {
        func text() -> String {
            let scalars: [Unicode.Scalar] = [
                "a", "\"", "\\", "/", "\n", "\u{1}", "\u{1F}", "\u{7F}", "é", "€", "🙂", "\u{2028}", "\u{FFFF}", " ",
            ]
            var text = ""
            for _ in 0..<Int.random(in: 0...8, using: &generator) {
                text.unicodeScalars.append(scalars.randomElement(using: &generator)!)
            }
            return text
        }
        switch Int.random(in: 0...(depth > 0 ? 6 : 4), using: &generator) {
        case 0: return nil
        case 1: return .bool(Bool.random(using: &generator))
        case 2: return .integer(Int64(bitPattern: generator.next()) >> Int64.random(in: 0...63, using: &generator))
        case 3:
            let number = Double(bitPattern: generator.next())
            return .double(number.isFinite ? number : 0.1)
        case 4: return .string(text())
        case 5:
            return .array(
                (0..<Int.random(in: 0...4, using: &generator)).map { _ in random(depth: depth - 1, using: &generator) })
        default:
            var object = JSONObject()
            for _ in 0..<Int.random(in: 0...4, using: &generator) {
                object[text()] = random(depth: depth - 1, using: &generator)
            }
            return .object(object)
        }
    }
}
