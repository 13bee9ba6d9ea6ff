internal import ArgumentParser
internal import CommandLineCore
internal import Events
internal import JSON

struct TaskShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Shows one task.",
        discussion: """
            Examples:
              apus task show 01JD2V5Q8Z6N0W3Y4T7R9K1M2P
              apus task show 01JD2V5Q8Z6N0W3Y4T7R9K1M2P --json | jq .result
            """)

    @Argument(help: ArgumentHelp("The task's id.", valueName: "id"))
    var id: String

    @OptionGroup var options: BusOptions
    @OptionGroup var output: OutputOptions

    func validate() throws { _ = try TaskIDArgument.parse(id) }

    func run() async throws {
        try await reportingFailures {
            let id = try TaskIDArgument.parse(id)
            let value = try await BusSession.run(options) {
                try await $0.call("tasks.get", ["task_id": .string(id.description)], of: TaskCommand.program)
            }
            let console = Console.standard
            guard !output.isJSON, let status = TaskStatus(json: value) else { return console.line(value) }
            show(status, console)
        }
    }

    private func show(_ status: TaskStatus, _ console: Console) {
        let styler = console.styler
        func line(_ title: String, _ text: String?) {
            guard let text, !text.isEmpty else { return }
            console.line(styler(TerminalText.padded(title, to: 10), .dim) + TerminalText.safe(text))
        }
        line("id", status.id.description)
        line("task", status.name)
        console.line(
            styler(TerminalText.padded("status", to: 10), .dim) + styler(status.state.rawValue, status.state.style))
        line("progress", "\(Int(min(100, max(0, status.progress)))) %")
        line("attempt", status.maximumAttempts.map { "\(status.attempt) of \($0)" } ?? String(status.attempt))
        line("queue", status.queue)
        line("user", status.user)
        line("submitted", status.submittedAt?.description)
        line("changed", status.updatedAt?.description)
        line("message", status.message)
        guard !status.result.isNull else { return }
        console.line(styler("result", .dim))
        console.line(PrettyJSON(styler: styler, columns: min(console.columns, 120)).text(status.result))
    }
}

struct TaskCancelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel",
        abstract: "Asks to cancel a task, wherever it is.",
        discussion: """
            Examples:
              apus task cancel 01JD2V5Q8Z6N0W3Y4T7R9K1M2P
            """)

    @Argument(help: ArgumentHelp("The task's id.", valueName: "id"))
    var id: String

    @OptionGroup var options: BusOptions
    @OptionGroup var output: OutputOptions

    func validate() throws { _ = try TaskIDArgument.parse(id) }

    func run() async throws {
        try await reportingFailures {
            let id = try TaskIDArgument.parse(id)
            let value = try await BusSession.run(options) {
                try await $0.call("tasks.cancel", ["task_id": .string(id.description)], of: TaskCommand.program)
            }
            guard !output.isJSON else { return Console.standard.line(value) }
            Console.standard.line("asked to cancel \(id)")
        }
    }
}

enum TaskIDArgument {
    static func parse(_ text: String) throws -> TaskID {
        guard let id = TaskID(text) else {
            throw ValidationError("\"\(TerminalText.safe(text))\" is no task's id; `apus task list` shows them")
        }
        return id
    }
}
