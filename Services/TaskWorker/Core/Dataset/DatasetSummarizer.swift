package import JSON

/// Summarises a CSV file that is fed in pieces of any size, in constant memory.
///
/// The first row holds the names of the columns: an empty name becomes `Unnamed: 2` (counted from 0) and a repeated one
/// gets `.1`, `.2`, … as pandas does it. A row with more or fewer fields than the header is *ragged*: it counts as a row,
/// the fields beyond the header are left out, those that it lacks are missing. See ``ColumnSummary`` for what is counted.
package struct DatasetSummarizer {
    package static let maximumColumns = 4096
    package static let maximumHeaderLength = 1 << 20
    /// Up to how many different values per column counts are exact, and up to how many numbers quartiles are.
    package static let exactLimit = 10_000
    /// With very many columns the exact part shrinks, so that all of them together stay within a bound.
    private static let exactTotal = 1_000_000

    private var parser: CSVParser
    private var text = TextCheck()
    private var table = Table()
    /// The first bytes of the file, which may be a mark of order or betray another format.
    private var opening: [UInt8]? = []

    package init(delimiter: UInt8 = UInt8(ascii: ",")) { parser = CSVParser(delimiter: delimiter) }

    /// Data rows so far.
    package var rows: UInt64 { table.rows }

    /// Takes the next piece of the file.
    package mutating func feed(_ chunk: UnsafeBufferPointer<UInt8>) throws(DatasetError) {
        guard var start = opening else { return try read(chunk) }
        let missing = min(chunk.count, DatasetSummarizer.openingLength - start.count)
        start.append(contentsOf: chunk[..<missing])
        opening = start
        guard start.count == DatasetSummarizer.openingLength else { return }
        try open()
        try read(UnsafeBufferPointer(rebasing: chunk[missing...]))
    }

    /// Says that the file ends here and gives the result as the contract has it.
    package mutating func finish() throws(DatasetError) -> JSONValue {
        if opening != nil { try open() }
        if let error = text.finish() { throw error }
        try parser.finish(into: &table)
        return try table.json()
    }

    private static let openingLength = 4

    /// Looks at the first bytes, then reads them.
    private mutating func open() throws(DatasetError) {
        var start = opening ?? []
        opening = nil
        let formats: [(magic: [UInt8], format: String, advice: String)] = [
            ([0xFF, 0xFE], "UTF-16 text", "save it as UTF-8"),
            ([0xFE, 0xFF], "UTF-16 text", "save it as UTF-8"),
            ([0x1F, 0x8B], "compressed with gzip", "unpack it first, with gunzip"),
            ([0x50, 0x4B, 0x03, 0x04], "a ZIP archive or a spreadsheet", "unpack it or save the sheet as CSV"),
            ([0x28, 0xB5, 0x2F, 0xFD], "compressed with Zstandard", "unpack it first, with unzstd"),
            ([0x50, 0x41, 0x52, 0x31], "a Parquet file", "convert it to CSV"),
            ([0x25, 0x50, 0x44, 0x46], "a PDF document", "give a CSV file"),
        ]
        for (magic, format, advice) in formats where start.starts(with: magic) {
            throw .format(format, advice: advice)
        }
        if start.starts(with: [0xEF, 0xBB, 0xBF]) { start.removeFirst(3) }
        let failure: DatasetError? = start.withUnsafeBufferPointer { bytes in
            do throws(DatasetError) {
                try read(bytes)
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw failure }
    }

    private mutating func read(_ chunk: UnsafeBufferPointer<UInt8>) throws(DatasetError) {
        // What stands before a bad byte is read first, so that the first thing wrong is what is reported, however the
        // file was cut.
        if let (good, error) = text.check(chunk) {
            try parser.feed(UnsafeBufferPointer(rebasing: chunk[..<good]), into: &table)
            throw error
        }
        try parser.feed(chunk, into: &table)
    }
}

/// The rows as they come out of the parser.
private struct Table: CSVSink {
    private(set) var rows: UInt64 = 0
    private var raggedRows: UInt64 = 0
    private var header: [String]? = []
    private var headerLength = 0
    private var columns: [ColumnSummary] = []

    mutating func field(_ bytes: UnsafeBufferPointer<UInt8>, index: Int) throws(DatasetError) {
        if header != nil {
            headerLength += bytes.count
            guard index < DatasetSummarizer.maximumColumns else { throw .tooManyColumns }
            guard headerLength <= DatasetSummarizer.maximumHeaderLength else { throw .headerTooLong }
            header?.append(String(decoding: bytes, as: UTF8.self))
        } else if index < columns.count {
            columns[index].add(bytes)
        }
    }

    mutating func endOfRow(fields: Int) throws(DatasetError) {
        if let header {
            let limit = min(DatasetSummarizer.exactLimit, DatasetSummarizer.exactShare(columns: header.count))
            columns = Table.unique(header).map { ColumnSummary(name: $0, limit: limit) }
            self.header = nil
        } else {
            rows += 1
            if fields != columns.count { raggedRows += 1 }
        }
    }

    mutating func json() throws(DatasetError) -> JSONValue {
        guard header == nil else { throw .empty }
        var summaries: [JSONValue] = []
        for index in columns.indices { summaries.append(columns[index].json(rows: rows)) }
        return [
            "rows": .integer(Int64(clamping: rows)),
            "ragged_rows": .integer(Int64(clamping: raggedRows)),
            "columns": .array(summaries),
        ]
    }

    /// The names, each made to occur once.
    static func unique(_ names: [String]) -> [String] {
        var taken = Set(names)
        var seen: Set<String> = []
        var repeats: [String: Int] = [:]
        return names.enumerated().map { index, name in
            let base = name.isEmpty ? "Unnamed: \(index)" : name
            if !name.isEmpty, seen.insert(base).inserted { return base }
            if name.isEmpty, taken.insert(base).inserted { return base }
            var number = repeats[base, default: 1]
            while !taken.insert("\(base).\(number)").inserted { number += 1 }
            repeats[base] = number + 1
            return "\(base).\(number)"
        }
    }
}

extension DatasetSummarizer {
    fileprivate static func exactShare(columns: Int) -> Int { max(200, exactTotal / max(1, columns)) }
}
