/// What a CSV text holds, field by field, as ``CSVParser`` comes across it.
package protocol CSVSink {
    /// A field's content: without its quotes, doubled quotes made single. `bytes` may not outlive the call.
    mutating func field(_ bytes: UnsafeBufferPointer<UInt8>, index: Int) throws(DatasetError)
    /// The end of a row that had `fields` fields.
    mutating func endOfRow(fields: Int) throws(DatasetError)
}

/// Reads CSV (RFC 4180) in pieces of any size, in memory bounded by its longest field.
///
/// Rows end with LF, CRLF or CR. A quoted field may hold delimiters, line ends and, doubled, quotes. As spreadsheets and
/// the usual libraries do, a quote inside an unquoted field stands for itself, text between a closing quote and the next
/// delimiter belongs to the field, and an empty line is no row. Where the pieces are cut changes nothing.
package struct CSVParser {
    private enum State {
        /// Nothing of the field has been seen.
        case fieldStart
        case unquoted
        case quoted
        /// After a quote in a quoted field: the first of two, or the field's end.
        case quoteInQuoted
    }

    /// The longest field that is accepted, in bytes.
    package static let maximumFieldLength = 1 << 20

    private let delimiter: UInt8
    private var state = State.fieldStart
    /// What has been seen of a field that could not be handed on where it stands.
    private var spilled: [UInt8] = []
    private var fieldIndex = 0
    private var isQuoted = false
    /// After a CR: a LF that follows belongs to the same line end.
    private var skipsLineFeed = false
    /// The rows that have ended.
    private var rows: UInt64 = 0

    package init(delimiter: UInt8 = UInt8(ascii: ",")) { self.delimiter = delimiter }

    /// Reads the next piece.
    package mutating func feed(
        _ chunk: UnsafeBufferPointer<UInt8>, into sink: inout some CSVSink
    ) throws(DatasetError) {
        var position = 0
        while position < chunk.count {
            let byte = chunk[position]
            switch state {
            case .fieldStart:
                if skipsLineFeed {
                    skipsLineFeed = false
                    if byte == CSVParser.lineFeed {
                        position += 1
                        continue
                    }
                }
                isQuoted = byte == CSVParser.quote
                state = isQuoted ? .quoted : .unquoted
                if isQuoted { position += 1 }
            case .unquoted: try unquoted(chunk, at: &position, into: &sink)
            case .quoted:
                let start = position
                while position < chunk.count, chunk[position] != CSVParser.quote { position += 1 }
                try spill(UnsafeBufferPointer(rebasing: chunk[start..<position]))
                if position < chunk.count {
                    position += 1
                    state = .quoteInQuoted
                }
            case .quoteInQuoted:
                if byte == CSVParser.quote {
                    try spill(UnsafeBufferPointer(rebasing: chunk[position..<position + 1]))
                    position += 1
                    state = .quoted
                } else {
                    state = .unquoted
                }
            }
        }
    }

    /// Says that nothing follows.
    package mutating func finish(into sink: inout some CSVSink) throws(DatasetError) {
        switch state {
        case .quoted: throw .unterminatedQuote(row: rows + 1)
        case .fieldStart where fieldIndex == 0: return
        case .fieldStart, .unquoted, .quoteInQuoted:
            let nothing = UnsafeBufferPointer<UInt8>(start: nil, count: 0)
            try endField(nothing, into: &sink)
            try endRow(into: &sink)
        }
    }

    private static let quote = UInt8(ascii: "\"")
    private static let lineFeed = UInt8(ascii: "\n")
    private static let carriageReturn = UInt8(ascii: "\r")

    /// The rest of a field up to a delimiter or a line end.
    private mutating func unquoted(
        _ chunk: UnsafeBufferPointer<UInt8>, at position: inout Int, into sink: inout some CSVSink
    ) throws(DatasetError) {
        let start = position
        let delimiter = delimiter
        while position < chunk.count {
            let byte = chunk[position]
            if byte == delimiter || byte == CSVParser.lineFeed || byte == CSVParser.carriageReturn { break }
            position += 1
        }
        let part = UnsafeBufferPointer(rebasing: chunk[start..<position])
        guard position < chunk.count else { return try spill(part) }
        let end = chunk[position]
        position += 1
        if end == delimiter { return try endField(part, into: &sink) }
        skipsLineFeed = end == CSVParser.carriageReturn
        if fieldIndex == 0, part.isEmpty, spilled.isEmpty, !isQuoted {
            state = .fieldStart
            return
        }
        try endField(part, into: &sink)
        try endRow(into: &sink)
    }

    private mutating func spill(_ part: UnsafeBufferPointer<UInt8>) throws(DatasetError) {
        try checkLength(part.count)
        spilled.append(contentsOf: part)
    }

    private func checkLength(_ added: Int) throws(DatasetError) {
        guard added <= CSVParser.maximumFieldLength - spilled.count else { throw .fieldTooLong(row: rows + 1) }
    }

    private mutating func endField(
        _ part: UnsafeBufferPointer<UInt8>, into sink: inout some CSVSink
    ) throws(DatasetError) {
        if spilled.isEmpty {
            try checkLength(part.count)
            try sink.field(part, index: fieldIndex)
        } else {
            try spill(part)
            // Taken out, since the sink must not be called while the parser is being changed.
            let whole = spilled
            spilled = []
            let failure: DatasetError? = whole.withUnsafeBufferPointer { bytes in
                do throws(DatasetError) {
                    try sink.field(bytes, index: fieldIndex)
                    return nil
                } catch {
                    return error
                }
            }
            if let failure { throw failure }
            spilled = whole
            spilled.removeAll(keepingCapacity: whole.count <= 4096)
        }
        fieldIndex += 1
        isQuoted = false
        state = .fieldStart
    }

    private mutating func endRow(into sink: inout some CSVSink) throws(DatasetError) {
        rows += 1
        let fields = fieldIndex
        fieldIndex = 0
        try sink.endOfRow(fields: fields)
    }
}
