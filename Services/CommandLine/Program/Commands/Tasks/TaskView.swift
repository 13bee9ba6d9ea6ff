internal import CommandLineCore
internal import Events
internal import JSON
internal import Synchronization

/// Shows a task's progress: a bar that is drawn anew on a terminal, a line per step elsewhere, JSON for programs.
final class TaskView: Sendable {
    private let console: Console
    private let isJSON: Bool
    private let lines = Mutex(TaskProgressLines())

    init(console: Console, isJSON: Bool) {
        self.console = console
        self.isJSON = isJSON
    }

    func show(_ status: TaskStatus) {
        if isJSON { return console.line(status.json) }
        guard console.isTerminal else {
            // Standard output is kept for the result.
            if let line = lines.withLock({ $0.line(for: status) }) { console.note(line) }
            return
        }
        let bar = ProgressBar(label: status.name, percent: status.progress, message: caption(status))
        console.redraw(
            bar.line(
                columns: console.columns - 1, glyphs: console.glyphs, styler: console.styler,
                style: status.state.style))
    }

    func finish(_ status: TaskStatus) {
        if isJSON { return console.line(status.json) }
        if console.isTerminal { console.clearLine() }
        // What says no more than the state is not said twice.
        let told = status.message.flatMap { $0.isEmpty || $0 == status.state.rawValue ? nil : $0 }
        let message = told.map { ": " + TerminalText.safe($0) } ?? ""
        switch status.state {
        case .completed:
            console.note("\(TerminalText.safe(status.name)) completed\(message)")
            console.line(PrettyJSON(styler: console.styler, columns: min(console.columns, 120)).text(status.result))
        case .failed:
            let isCounted = told?.hasPrefix("given up after") ?? false
            let attempts = status.attempt > 1 && !isCounted ? " after \(status.attempt) attempts" : ""
            console.problem("\(TerminalText.safe(status.name)) failed\(attempts)\(message)")
        default: console.note("\(TerminalText.safe(status.name)) \(status.state.rawValue)\(message)")
        }
    }

    func note(_ text: String) {
        if console.isTerminal, !isJSON { console.clearLine() }
        console.note(text)
    }

    private func caption(_ status: TaskStatus) -> String {
        var caption = status.message ?? ""
        if status.attempt > 1 { caption = "attempt \(status.attempt)" + (caption.isEmpty ? "" : ": \(caption)") }
        if !status.state.isRunning { caption = status.state.rawValue + (caption.isEmpty ? "" : ": \(caption)") }
        return caption
    }
}
