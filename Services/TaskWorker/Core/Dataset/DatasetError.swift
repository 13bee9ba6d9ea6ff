/// Why a file cannot be summarised. Its text is the failed task's message.
package enum DatasetError: Error, Equatable, CustomStringConvertible {
    case empty
    /// Something that is recognised by its first bytes.
    case format(String, advice: String)
    case binary(offset: UInt64)
    case notUTF8(offset: UInt64)
    case unterminatedQuote(row: UInt64)
    case fieldTooLong(row: UInt64)
    case tooManyColumns
    case headerTooLong

    package var description: String {
        switch self {
        case .empty: "the file is empty: a CSV file begins with a row of column names"
        case .format(let format, let advice): "the file is \(format), not CSV text: \(advice)"
        case .binary(let offset):
            "the file is binary, not CSV text: byte \(offset) is NUL"
        case .notUTF8(let offset):
            "the file is not UTF-8 text: byte \(offset) does not fit; if it is text in another encoding, convert it, "
                + "for instance with: iconv -f WINDOWS-1252 -t UTF-8"
        case .unterminatedQuote(let row): "row \(row) has a quoted field that is never closed (the header is row 1)"
        case .fieldTooLong(let row):
            "row \(row) has a field of more than \(CSVParser.maximumFieldLength) bytes; is a quote not closed? "
                + "(the header is row 1)"
        case .tooManyColumns:
            "the header has more than \(DatasetSummarizer.maximumColumns) columns; is this a CSV file?"
        case .headerTooLong:
            "the column names take more than \(DatasetSummarizer.maximumHeaderLength) bytes; is this a CSV file?"
        }
    }
}
