import JSON
import TestKit
import Testing

@Suite("A JSON writer")
struct JSONWriterTests {
    private func text(_ write: (inout JSONWriter) -> Void) -> String {
        var writer = JSONWriter(reserving: 4)
        write(&writer)
        return String(decoding: writer.finish(), as: UTF8.self)
    }

    @Test("puts commas where they belong, however deep")
    func commas() {
        let written = text { writer in
            writer.beginObject()
            writer.member("a", 1)
            writer.name("b")
            writer.beginArray()
            writer.beginObject()
            writer.endObject()
            writer.write(true)
            writer.writeNull()
            writer.beginArray()
            writer.endArray()
            writer.write("x")
            writer.endArray()
            writer.member("c", text: Array("[1.0, 2]".utf8))
            writer.member("d", ["e": 1.5])
            writer.name("f\"")
            writer.write(-7)
            writer.endObject()
            writer.beginLine()
            writer.beginObject()
            writer.member("g", false)
            writer.endObject()
        }
        #expect(
            written == #"{"a":1,"b":[{},true,null,[],"x"],"c":[1.0, 2],"d":{"e":1.5},"f\"":-7}"# + "\n"
                + #"{"g":false}"#)
    }

    @Test(
        "writes every number in full",
        arguments: [0, 1, 9, 10, 99, 100, 4_294_967_295, Int64.max, .min, -1, -10] as [Int64])
    func numbers(number: Int64) { #expect(text { $0.write(number) } == "\(number)") }

    @Test("writes the largest offset there is")
    func largest() { #expect(text { $0.write(UInt64.max) } == "18446744073709551615") }

    @Test("writes strings that read back as they were, special bytes in any place", arguments: 0..<100 as Range<UInt64>)
    func strings(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let scalars: [Unicode.Scalar] = [
            "a", "b", "c", "d", "e", "\"", "\\", "/", "\n", "\r", "\t", "\u{0}", "\u{1F}", "\u{7F}", "é", "€", "🙂",
        ]
        for _ in 0..<50 {
            var string = ""
            for _ in 0..<Int.random(in: 0...40, using: &generator) {
                // Mostly plain, as text is.
                let isPlain = Int.random(in: 0...3, using: &generator) > 0
                string.unicodeScalars.append(isPlain ? "p" : scalars.randomElement(using: &generator)!)
            }
            let written = text { $0.write(string) }
            #expect(JSONScanner.isValid(Array(written.utf8)), "seed \(seed): \(written)")
            #expect(try JSONValue(parsing: written) == .string(string), "seed \(seed): \(written)")
        }
    }
}
