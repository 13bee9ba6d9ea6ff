import JSON
import TaskWorkerCore
import TestKit
import Testing

/// The summary of `bytes`, fed in pieces of the given sizes (over and over).
func summarize(_ bytes: [UInt8], pieces: [Int] = [1 << 16]) throws(DatasetError) -> JSONValue {
    var summarizer = DatasetSummarizer()
    var position = 0
    var piece = 0
    while position < bytes.count {
        let end = min(bytes.count, position + max(1, pieces[piece % pieces.count]))
        try feed(Array(bytes[position..<end]), to: &summarizer)
        position = end
        piece += 1
    }
    return try summarizer.finish()
}

func feed(_ bytes: [UInt8], to summarizer: inout DatasetSummarizer) throws(DatasetError) {
    let failure: DatasetError? = bytes.withUnsafeBufferPointer { buffer in
        do throws(DatasetError) {
            try summarizer.feed(buffer)
            return nil
        } catch {
            return error
        }
    }
    if let failure { throw failure }
}

func summarize(_ text: String, pieces: [Int] = [1 << 16]) throws(DatasetError) -> JSONValue {
    try summarize(Array(text.utf8), pieces: pieces)
}

@Suite struct DatasetSummarizerTests {
    @Test("numbers and words are told apart, with the statistics that pandas gives")
    func statistics() throws {
        let result = try summarize("name,price\nann,3\nbob,1\n,4\ncid,1\ncid,5\nann,\n")
        // df.describe() of [3, 1, 4, 1, 5]: mean 2.8, std 1.788854, 25% 1, 50% 3, 75% 4.
        #expect(result["rows"] == 6)
        #expect(result["ragged_rows"] == 0)
        let names = result["columns"]?.arrayValue?[0]
        #expect(
            names == [
                "name": "name", "count": 5, "missing": 1, "distinct": 3, "distinct_exact": true, "min": nil,
                "max": nil, "mean": nil, "stddev": nil, "quartiles": nil,
            ])
        let prices = try #require(result["columns"]?.arrayValue?[1])
        #expect(prices["count"] == 5)
        #expect(prices["missing"] == 1)
        #expect(prices["distinct"] == 4)
        #expect(prices["min"] == 1)
        #expect(prices["max"] == 5)
        #expect(prices["mean"] == 2.8)
        #expect(abs(try #require(prices["stddev"]?.doubleValue) - 1.788854381999832) < 1e-12)
        #expect(prices["quartiles"] == [1, 3, 4])
        #expect(prices["quartiles_exact"] == true)
    }

    @Test("quoted fields may hold delimiters, line ends and doubled quotes")
    func quoting() throws {
        let result = try summarize("a,b\n\"x,1\",\"two\nlines\"\n\"say \"\"hi\"\"\",\"\"\n\"x,1\",plain\n")
        #expect(result["rows"] == 3)
        #expect(result["ragged_rows"] == 0)
        let columns = try #require(result["columns"]?.arrayValue)
        #expect(columns[0]["distinct"] == 2)
        #expect(columns[1]["count"] == 2)
        #expect(columns[1]["missing"] == 1)
    }

    @Test(
        "line ends of every kind, with and without one at the end",
        arguments: ["a,b\n1,2\n3,4\n", "a,b\r\n1,2\r\n3,4\r\n", "a,b\r1,2\r3,4", "a,b\r\n1,2\n3,4"])
    func lineEnds(text: String) throws {
        let result = try summarize(text)
        #expect(result["rows"] == 2)
        #expect(result["ragged_rows"] == 0)
        #expect(result["columns"]?.arrayValue?[1]["mean"] == 3)
        #expect(result["columns"]?.arrayValue?[1]["name"] == "b")
    }

    @Test("a byte order mark does not belong to the first column's name", arguments: [1, 2, 3, 4, 100])
    func byteOrderMark(piece: Int) throws {
        let result = try summarize([0xEF, 0xBB, 0xBF] + Array("größe\n1\n".utf8), pieces: [piece])
        #expect(result["columns"]?.arrayValue?[0]["name"] == "größe")
        #expect(result["rows"] == 1)
    }

    @Test("rows that are too short or too long are counted, their fields as far as the header goes")
    func raggedRows() throws {
        let result = try summarize("a,b,c\n1,2\n1,2,3,4\n\n7,8,9\n")
        #expect(result["rows"] == 3)
        #expect(result["ragged_rows"] == 2)
        let columns = try #require(result["columns"]?.arrayValue)
        #expect(columns[2]["count"] == 2)
        #expect(columns[2]["missing"] == 1)
        #expect(columns[0]["count"] == 3)
    }

    @Test("a header alone is a file without rows")
    func headerOnly() throws {
        let result = try summarize("a,b")
        #expect(result["rows"] == 0)
        #expect(result["columns"]?.arrayValue?.count == 2)
        #expect(result["columns"]?.arrayValue?[0]["mean"] == .some(.null))
    }

    @Test("empty and repeated names of columns become unique, as in pandas")
    func columnNames() throws {
        let result = try summarize("a,,a,a.1,\n")
        let names = result["columns"]?.arrayValue?.compactMap { $0["name"]?.stringValue }
        #expect(names == ["a", "Unnamed: 1", "a.2", "a.1", "Unnamed: 4"])
    }

    @Test("what counts as a number")
    func numbers() throws {
        let numbers = [
            "1", "-2.5", "+3", " 4 ", "\t5", ".5", "6.", "1e3", "1E-2", "007", "123456789012345678901234567890",
        ]
        #expect(try summarize("n\n" + numbers.joined(separator: "\n") + "\n")["columns"]?.arrayValue?[0]["max"] != nil)
        for number in numbers {
            #expect(try isNumeric(number), "\(number)")
        }
        for text in ["inf", "0x10", "1_000", "1,000", "1e", "e5", "-", ".", "1.2.3", "1e999", "Infinity", "١", "1 2"] {
            #expect(try !isNumeric(text), "\(text)")
        }
    }

    private func isNumeric(_ text: String) throws -> Bool {
        let result = try summarize("n\n\"\(text)\"\n")
        return result["columns"]?.arrayValue?[0]["mean"]?.isNull == false
    }

    @Test("markers of a missing number are missing among numbers and words among words")
    func markers() throws {
        let result = try summarize("n,country\n1,DE\nNA,NA\nnan,NA\nNA,DE\n3,FR\n")
        let columns = try #require(result["columns"]?.arrayValue)
        #expect(columns[0]["count"] == 2)
        #expect(columns[0]["missing"] == 3)
        #expect(columns[0]["distinct"] == 2)
        #expect(columns[0]["mean"] == 2)
        #expect(columns[1]["count"] == 5)
        #expect(columns[1]["distinct"] == 3)
    }

    @Test("large whole numbers and fractions are read to the last bit")
    func precision() throws {
        let texts = [
            "9007199254740993", "0.1", "1.7976931348623157e308", "5e-324", "3.141592653589793238", "1e22", "1e23",
        ]
        for text in texts {
            let column = try #require(try summarize("n\n\(text)\n")["columns"]?.arrayValue?[0])
            #expect(column["min"]?.doubleValue == Double(text), "\(text)")
        }
    }

    @Test("files that are no CSV text are refused with what they are")
    func refusals() throws {
        #expect(throws: DatasetError.empty) { try summarize("") }
        #expect(throws: DatasetError.empty) { try summarize("\n\n\r\n") }
        #expect(throws: DatasetError.empty) { try summarize([0xEF, 0xBB, 0xBF]) }
        #expect(throws: DatasetError.binary(offset: 5)) { try summarize("a,b\n1\u{0}") }
        #expect(throws: DatasetError.notUTF8(offset: 4)) { try summarize(Array("a,b\n".utf8) + [0xE9, 0x31]) }
        #expect(throws: DatasetError.notUTF8(offset: 2)) { try summarize(Array("a\n".utf8) + [0xE2, 0x82]) }
        #expect(throws: DatasetError.unterminatedQuote(row: 2)) { try summarize("a,b\n1,\"2\n3,4\n") }
        #expect(throws: DatasetError.self) { try summarize([0x1F, 0x8B, 8, 0, 0, 0]) }
        #expect(throws: DatasetError.self) { try summarize([0xFF, 0xFE, 0x61, 0, 0x0A, 0]) }
        #expect(throws: DatasetError.tooManyColumns) { try summarize(String(repeating: "a,", count: 5000) + "\n") }
        let long = String(repeating: "x", count: CSVParser.maximumFieldLength + 1)
        #expect(throws: DatasetError.fieldTooLong(row: 2)) { try summarize("a\n\(long)\n") }
        #expect(throws: DatasetError.fieldTooLong(row: 2)) { try summarize("a\n\"\(long)\"\n", pieces: [1000]) }
        let longest = String(long.dropLast())
        #expect(try summarize("a\n\(longest)\n", pieces: [1000, 7])["rows"] == 1)
    }

    @Test("where the file is cut into pieces changes nothing", arguments: 0..<150)
    func pieces(seed: Int) throws {
        var random = SeededGenerator(seed: seed)
        let bytes = Self.randomFile(&random)
        let whole = Result { () throws(DatasetError) in try summarize(bytes) }
        for _ in 0..<4 {
            let pieces = (0..<5).map { _ in Int.random(in: 1...9, using: &random) }
            let cut = Result { () throws(DatasetError) in try summarize(bytes, pieces: pieces) }
            #expect(cut == whole, "seed \(seed), pieces \(pieces)")
        }
    }

    /// Bytes that are nearly CSV: mostly what matters to the parser.
    private static func randomFile(_ random: inout SeededGenerator) -> [UInt8] {
        let tokens: [String] = [
            ",", ",", "\n", "\r\n", "\r", "\"", "\"\"", "1", "2.5", "ab", " ", "é", "€", "😀", "NA", "\"x\"",
        ]
        var bytes = Array((Bool.random(using: &random) ? "\u{FEFF}a,b\n" : "a,b\n").utf8)
        for _ in 0..<Int.random(in: 0...60, using: &random) {
            bytes.append(contentsOf: (tokens.randomElement(using: &random) ?? "").utf8)
        }
        if Int.random(in: 0..<8, using: &random) == 0 { bytes.append(UInt8.random(in: 0x80...0xFF, using: &random)) }
        if Int.random(in: 0..<8, using: &random) == 0 { bytes.append(0) }
        return bytes
    }

    @Test("a well-formed file gives what a plain computation over its rows gives", arguments: 0..<40)
    func againstReference(seed: Int) throws {
        var random = SeededGenerator(seed: seed)
        let rows = (0..<Int.random(in: 2...400, using: &random)).map { _ -> (Double?, String) in
            let number =
                Int.random(in: 0..<10, using: &random) == 0 ? nil : Double.random(in: -1e6...1e6, using: &random)
            let word = ["", "a", "b\"c", "d,e", "f\ng", "ü"].randomElement(using: &random) ?? ""
            return (number, word)
        }
        let text =
            "n,w\n"
            + rows.map { number, word in
                "\(number.map { "\($0)" } ?? ""),\"\(word.replacing("\"", with: "\"\""))\"\n"
            }.joined()
        let columns = try #require(try summarize(text, pieces: [13, 64, 1])["columns"]?.arrayValue)
        let numbers = rows.compactMap(\.0)
        let mean = numbers.reduce(0, +) / Double(numbers.count)
        let variance = numbers.map { ($0 - mean) * ($0 - mean) }.reduce(0, +) / Double(numbers.count - 1)
        #expect(columns[0]["count"] == .integer(Int64(numbers.count)), "seed \(seed)")
        #expect(columns[0]["missing"] == .integer(Int64(rows.count - numbers.count)), "seed \(seed)")
        #expect(columns[0]["min"]?.doubleValue == numbers.min(), "seed \(seed)")
        #expect(columns[0]["max"]?.doubleValue == numbers.max(), "seed \(seed)")
        #expect(abs((columns[0]["mean"]?.doubleValue ?? .nan) - mean) < 1e-6, "seed \(seed)")
        #expect(abs((columns[0]["stddev"]?.doubleValue ?? .nan) - variance.squareRoot()) < 1e-5, "seed \(seed)")
        let words = rows.map(\.1).filter { !$0.isEmpty }
        #expect(columns[1]["count"] == .integer(Int64(words.count)), "seed \(seed)")
        #expect(columns[1]["distinct"] == .integer(Int64(Set(words).count)), "seed \(seed)")
    }
}
