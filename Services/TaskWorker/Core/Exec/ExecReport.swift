package import JSON

/// What a program says on its standard output, line by line.
package enum ExecReport: Sendable, Hashable {
    case progress(Double, message: String?)
    case result(JSONValue)
    case error(String, isRetryable: Bool)
    /// An empty line.
    case nothing
    /// Anything that is none of the above.
    case garbage

    package init(line: [UInt8]) {
        guard line.contains(where: { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\t") }) else {
            self = .nothing
            return
        }
        guard let value = try? JSONValue(parsing: line), let members = value.objectValue else {
            self = .garbage
            return
        }
        if let result = members["result"] {
            self = .result(result)
        } else if let error = members["error"] {
            // A text is the message; whatever else was written is shown as it is.
            self = .error(error.stringValue ?? error.description, isRetryable: members["retry"]?.boolValue ?? true)
        } else if let progress = members["progress"]?.doubleValue {
            self = .progress(progress, message: members["message"]?.stringValue)
        } else {
            self = .garbage
        }
    }
}

/// What has come of a program: fed with its output, then asked when it has ended.
package struct ExecTranscript: Sendable {
    /// How a process ended.
    package enum Exit: Sendable, Hashable {
        case status(Int32)
        case signal(Int32)
    }

    /// The longest line of standard output that is read, and with it the largest result.
    package static let maximumLineLength = 1 << 20
    /// How much of a line on standard error is kept.
    package static let maximumErrorLineLength = 4096

    private var output = LineSplitter(maximumLength: maximumLineLength)
    private var errors = LineSplitter(maximumLength: maximumErrorLineLength)
    /// The last `result` or `error` line.
    private var verdict: ExecReport?
    private var lastLineWasTooLong = false
    private var lastErrorLine: String?
    /// How many lines of standard output were neither JSON nor anything known.
    package private(set) var garbageLines = 0

    package init() {}

    /// Takes bytes from standard output and gives the progress that they report.
    package mutating func output(_ bytes: some Sequence<UInt8>) -> [(progress: Double, message: String?)] {
        output.feed(bytes).compactMap { line in read(line) }
    }

    /// Takes bytes from standard error and gives the lines, for the log.
    package mutating func error(_ bytes: some Sequence<UInt8>) -> [String] {
        errors.feed(bytes).compactMap { line in note(line) }
    }

    /// Says that both outputs have ended; gives the last line of standard error if it had no line end.
    package mutating func finish() -> String? {
        if let line = output.finish() { _ = read(line) }
        return errors.finish().flatMap { line in note(line) }
    }

    /// How the attempt ended.
    package func outcome(_ exit: Exit) -> AttemptOutcome {
        if lastLineWasTooLong {
            return .failedForGood(
                "the program's last line of output is longer than \(ExecTranscript.maximumLineLength) bytes: "
                    + "let it store large results elsewhere and return where")
        }
        switch verdict {
        case .result(let result)?: return .completed(result)
        case .error(let message, let isRetryable)?:
            return isRetryable ? .failed(message) : .failedForGood(message)
        default: break
        }
        switch exit {
        case .status(0): return .completed(.null)
        case .status(let status):
            return .failed(lastErrorLine ?? "the program ended with exit status \(status) and said nothing why")
        case .signal(let signal):
            let suffix = lastErrorLine.map { ": \($0)" } ?? ""
            return .failed("the program was killed by signal \(signal)" + suffix)
        }
    }

    private mutating func read(_ line: LineSplitter.Line) -> (progress: Double, message: String?)? {
        guard case .text(let bytes) = line else {
            lastLineWasTooLong = true
            garbageLines += 1
            return nil
        }
        let report = ExecReport(line: bytes)
        switch report {
        case .nothing: return nil
        case .progress(let progress, let message):
            lastLineWasTooLong = false
            return (progress, message)
        case .result, .error: verdict = report
        case .garbage: garbageLines += 1
        }
        lastLineWasTooLong = false
        return nil
    }

    private mutating func note(_ line: LineSplitter.Line) -> String? {
        guard case .text(let bytes) = line else {
            return "(a line longer than \(ExecTranscript.maximumErrorLineLength) bytes)"
        }
        let text = String(decoding: bytes, as: UTF8.self)
        if text.contains(where: { !$0.isWhitespace }) { lastErrorLine = text }
        return text
    }
}
