/// Puts the name of the program that said it before each line of a common log, every program in its own colour.
public struct LogPrefix: Sendable {
    private let columns: Int
    private let colors: [String: TextStyle]
    private let styler: Styler

    private static let palette: [TextStyle] = [.cyan, .green, .yellow, .magenta, .blue]

    public init(programs: [String], styler: Styler) {
        columns = programs.reduce(0) { max($0, TerminalText.width($1)) }
        colors = Dictionary(
            programs.enumerated().map { ($1, LogPrefix.palette[$0 % LogPrefix.palette.count]) },
            uniquingKeysWith: { first, _ in first })
        self.styler = styler
    }

    /// `gateway  | 2026-… info apus-gateway: started`, control characters written out.
    public func line(_ text: String, of program: String) -> String {
        let name = TerminalText.padded(program, to: columns)
        return styler("\(name) |", colors[program] ?? .dim) + " " + TerminalText.safe(text)
    }
}
