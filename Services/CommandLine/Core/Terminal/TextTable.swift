/// Rows under headings, in columns as wide as their widest cell.
public struct TextTable: Sendable {
    public struct Column: Sendable {
        public let title: String
        public let alignment: TerminalText.Alignment
        /// Longer cells are cut; nil lets them be.
        public let maximumWidth: Int?

        public init(_ title: String, _ alignment: TerminalText.Alignment = .left, maximumWidth: Int? = nil) {
            self.title = title
            self.alignment = alignment
            self.maximumWidth = maximumWidth
        }
    }

    private let columns: [Column]
    private var rows: [[Cell]] = []

    private struct Cell {
        let text: String
        let style: TextStyle?
    }

    public init(columns: [Column]) { self.columns = columns }

    public var isEmpty: Bool { rows.isEmpty }

    /// Adds a row; missing cells are empty, surplus ones are left out. Cells may hold anything: they are made safe here.
    /// - Parameter styles: by the column's title.
    public mutating func append(_ cells: [String], styles: [String: TextStyle] = [:]) {
        rows.append(
            columns.enumerated().map { index, column in
                let text = TerminalText.safe(index < cells.count ? cells[index] : "")
                let cut = column.maximumWidth.map { TerminalText.truncated(text, to: $0) } ?? text
                return Cell(text: cut, style: styles[column.title])
            })
    }

    /// The lines of the table, headings first, without spaces at their ends.
    public func lines(_ styler: Styler) -> [String] {
        let widths = columns.indices.map { index in
            rows.reduce(TerminalText.width(columns[index].title)) { max($0, TerminalText.width($1[index].text)) }
        }
        let headings = columns.map { Cell(text: $0.title.uppercased(), style: .dim) }
        return ([headings] + rows).map { row in
            var line = ""
            for (index, cell) in row.enumerated() {
                let padded = TerminalText.padded(cell.text, to: widths[index], alignment: columns[index].alignment)
                // The last cell of a row is not filled up.
                let shown = index == row.count - 1 && columns[index].alignment == .left ? cell.text : padded
                line += (index == 0 ? "" : "  ") + (cell.style.map { styler(shown, $0) } ?? shown)
            }
            while line.last == " " { line.removeLast() }
            return line
        }
    }
}
