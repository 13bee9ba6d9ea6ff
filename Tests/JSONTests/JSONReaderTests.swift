import JSON
import TestKit
import Testing

@Suite("A JSON reader")
struct JSONReaderTests {
    private func read<Result>(
        _ text: String, _ body: (inout JSONReader) throws(JSONError) -> Result
    ) throws(JSONError) -> Result {
        try JSONReader.read(Array(text.utf8)) { reader throws(JSONError) in
            let result = try body(&reader)
            try reader.finish()
            return result
        }
    }

    /// Reads a whole value by the function for its kind, which `like` says.
    private static func rebuild(_ reader: inout JSONReader, like value: JSONValue) throws(JSONError) -> JSONValue {
        switch value {
        case .null:
            guard reader.isAtNull() else { return "no null" }
            try reader.skip()
            return .null
        case .bool: return try reader.bool().map(JSONValue.bool) ?? "no boolean"
        case .integer: return try reader.integer().map(JSONValue.integer) ?? "no integer"
        case .double: return try reader.value()
        case .string: return try reader.string().map { .string($0.string) } ?? "no string"
        case .array(let elements):
            guard try reader.beginArray() else { return "no array" }
            var read: [JSONValue] = []
            while try reader.nextElement() {
                read.append(try rebuild(&reader, like: read.count < elements.count ? elements[read.count] : .null))
            }
            return .array(read)
        case .object(let members):
            guard try reader.beginObject() else { return "no object" }
            var read = JSONObject()
            while let name = try reader.nextName() {
                // Of equal names, the values but the last may be of other kinds.
                read[name.string] = try rebuild(&reader, like: members[name.string] ?? .null)
            }
            return .object(read)
        }
    }

    @Test("takes by pieces what the parser takes as a whole", arguments: JSONParserTests.valid)
    func pieces(text: String, value: JSONValue) throws {
        #expect(try read(text) { reader throws(JSONError) in try reader.value() } == value)
        guard !text.contains(#""a":1,"a""#) else { return }
        #expect(try read(text) { reader throws(JSONError) in try Self.rebuild(&reader, like: value) } == value)
    }

    @Test(
        "accepts exactly what the parser accepts, skipping or taking: mutated texts",
        arguments: 0..<200 as Range<UInt64>)
    func mutations(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let odd = [
            #"{"id":1,"data":{"n":[1.0,-0,1e400,9223372036854775808,1e-400]},"\u0069d":2}"#,
            #"{"a\u0000":1,"b":[[[[{"c":"\ud83d\ude00 é€🙂"}]]]],"d":123456789012345678}"#,
            "[\(String(repeating: "7", count: 250)),\(String(repeating: "9", count: 310)).5,0e999,1E+308,1.8e308]",
            "[\(String(repeating: "[", count: 127))\(String(repeating: "]", count: 127))]",
        ]
        for text in JSONParserTests.valid.map(\.0) + odd {
            let bytes = Mutation.mutate(Array(text.utf8), using: &generator)
            let parsed = try? JSONValue(parsing: bytes)
            let skipped: Void? = try? JSONReader.read(bytes) { reader throws(JSONError) in
                try reader.skip()
                try reader.finish()
            }
            let taken = try? JSONReader.read(bytes) { reader throws(JSONError) in
                let value = try reader.value()
                try reader.finish()
                return value
            }
            #expect((skipped != nil) == (parsed != nil), "seed \(seed): \(bytes)")
            #expect(taken == parsed, "seed \(seed): \(bytes)")
        }
    }

    @Test("goes over a value of another kind than the one that is asked for")
    func otherKinds() throws {
        let values = ["null", "true", "1", "1.5", #""s""#, "[1]", #"{"a":1}"#]
        func taken<Result>(_ take: (inout JSONReader) throws(JSONError) -> Result?) throws -> [Bool] {
            try values.map { try read($0, take) != nil }
        }
        func entered(_ enter: (inout JSONReader) throws(JSONError) -> Bool) throws -> [Bool] {
            try values.dropLast(2).map { try read($0, enter) }
        }
        let f = false
        #expect(try taken { reader throws(JSONError) in try reader.bool() } == [f, true, f, f, f, f, f])
        #expect(try taken { reader throws(JSONError) in try reader.integer() } == [f, f, true, f, f, f, f])
        #expect(try taken { reader throws(JSONError) in try reader.string() } == [f, f, f, f, true, f, f])
        #expect(try entered { reader throws(JSONError) in try reader.beginObject() } == [f, f, f, f, f])
        #expect(try entered { reader throws(JSONError) in try reader.beginArray() } == [f, f, f, f, f])
    }

    @Test("takes a number for an integer that is one, however it is written")
    func integers() throws {
        for (text, value) in [
            ("0", 0), ("-0", 0), ("5.0", 5), ("5e0", 5), ("-2.50e1", -25), ("9223372036854775807", Int64.max),
            ("-9223372036854775808", .min), ("1.5", nil), ("1e300", nil), ("9.3e18", nil),
        ] as [(String, Int64?)] {
            #expect(try read(text) { reader throws(JSONError) in try reader.integer() } == value, "\(text)")
        }
    }

    @Test("gives a value's text as it stands there")
    func text() throws {
        let text = #"{"data" :  {"b":1.0, "a" : [ 1e0 , "\u0041" ]} , "x":1}"#
        let data = try read(text) { reader throws(JSONError) in
            var data: [UInt8] = []
            _ = try reader.beginObject()
            while let name = try reader.nextName() {
                if case "data" = name { data = Array(try reader.text().bytes) } else { try reader.skip() }
            }
            return data
        }
        #expect(String(decoding: data, as: UTF8.self) == #"{"b":1.0, "a" : [ 1e0 , "\u0041" ]}"#)
    }

    @Test("knows a name however it is escaped, and no other")
    func names() throws {
        let text = #"{"channel":1,"ch\u0061nnel":2,"chann\u0065l\u0020":3,"channe":4,"\ud83d\ude00":5}"#
        let found = try read(text) { reader throws(JSONError) in
            var found: [Int64] = []
            _ = try reader.beginObject()
            while let name = try reader.nextName() {
                switch name {
                case "channel", "😀": if let value = try reader.integer() { found.append(value) }
                default: try reader.skip()
                }
            }
            return found
        }
        #expect(found == [1, 2, 5])
    }

    @Test("of lines takes one text each, and blank ones for none")
    func lines() throws {
        func lines(_ text: String) -> [String]? {
            try? JSONReader.readLines(Array(text.utf8)) { reader throws(JSONError) in
                var lines: [String] = []
                while reader.nextLine() {
                    lines.append(String(decoding: try reader.text().bytes, as: UTF8.self))
                    try reader.finish()
                }
                return lines
            }
        }
        #expect(lines("") == [])
        #expect(lines(" \r\n\n\t\n") == [])
        #expect(lines("{}\n[1, 2]\r\n 3 \n") == ["{}", "[1, 2]", "3"])
        #expect(lines("{\n}") == nil)
        #expect(lines("[1,\n2]") == nil)
        #expect(lines("{} {}") == nil)
        #expect(lines("{}\n{") == nil)
        #expect(lines("\u{0}") == nil)
    }

    @Test("enters as deep as allowed, and no deeper")
    func depth() {
        func enter(_ depth: Int) -> Bool {
            let bytes = Array((String(repeating: "[", count: depth) + String(repeating: "]", count: depth)).utf8)
            let entered: Void? = try? JSONReader.read(bytes) { reader throws(JSONError) in
                for level in 1...depth where try reader.beginArray() && level < depth { _ = try reader.nextElement() }
                for _ in 1...depth { _ = try reader.nextElement() }
                try reader.finish()
            }
            return entered != nil
        }
        #expect(enter(128))
        #expect(!enter(129))
    }

    @Test(
        "an object of plain members is read as the parser reads it, and so is everything else",
        arguments: [
            "{}", #"{"a":1,"b":"x","a":2}"#, #" {"a" : {"b":[1,{"c":null}]}, "d":-1.5e3, "e":true} "#, "[1,2]", "7",
            "null",
            "", "{", #"{"a":}"#, #"{"a":1}x"#, #"{"a":12345678901234567890}"#, #"{"a\u0000":1}"#,
            #"{"\u0061":"\ud83d\ude42"}"#,
        ])
    func members(text: String) {
        let bytes = Array(text.utf8)
        #expect((try? JSONValue(parsingMembersOf: bytes)) == (try? JSONValue(parsing: bytes)))
    }
}
