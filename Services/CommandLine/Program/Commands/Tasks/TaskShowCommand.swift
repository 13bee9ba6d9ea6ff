internal import ArgumentParser
internal import CommandLineCore
internal import Events
internal import JSON
internal import ServiceKit

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
            let value = try await BusSession.run(options) { session in
                let parameters: JSONValue = ["task_id": .string(id.description)]
                do {
                    return try await session.call("tasks.show", parameters, of: TaskCommand.program)
                } catch ConnectionFailure.noService {
                    // A worker of an older version.
                    return try await session.call("tasks.get", parameters, of: TaskCommand.program)
                }
            }
            let console = Console.standard
            guard !output.isJSON, let status = TaskStatus(json: value) else { return console.line(value) }
            show(status, value, FieldList(console))
        }
    }

    private func show(_ status: TaskStatus, _ value: JSONValue, _ fields: FieldList) {
        fields.line("id", status.id.description)
        fields.line("task", status.name)
        fields.line("status", status.state.rawValue, style: status.state.style)
        fields.line("progress", "\(Int(min(100, max(0, status.progress)))) %")
        fields.line("attempt", status.maximumAttempts.map { "\(status.attempt) of \($0)" } ?? String(status.attempt))
        fields.line("queue", status.queue)
        fields.line("user", status.user)
        fields.line("submitted", status.submittedAt?.description)
        fields.line("started", value["started_at"]?.stringValue)
        fields.line("changed", status.updatedAt?.description)
        if !status.state.isFinal { fields.line("due", value["due"]?.stringValue) }
        fields.line("worker", value["worker"]?.stringValue)
        fields.line("replay of", value["replay_of"]?.stringValue)
        fields.line("message", status.message)
        fields.value("args", value["args"])
        fields.value("chain", value["chain"])
        fields.errors(value["errors"])
        fields.value("result", status.result)
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

enum TaskStateArgument {
    /// - Throws: for a text that is no state of a task.
    static func check(_ text: String?) throws {
        guard let text, TaskState(rawValue: text) == nil else { return }
        let all = TaskState.allCases.map(\.rawValue)
        let suggestion = Suggestion.closest(to: text, among: all).map { "; did you mean \($0)?" } ?? ""
        throw ValidationError("--status takes one of \(all.joined(separator: ", "))\(suggestion)")
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
