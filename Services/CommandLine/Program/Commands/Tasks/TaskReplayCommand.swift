internal import ArgumentParser
internal import CommandLineCore
internal import Events
internal import JSON

struct TaskReplayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Runs a task that is over once more, as a new task.",
        discussion: """
            The new task has the same name, arguments, user and limits. Its id is printed.

            Examples:
              apus task replay 01JD2V5Q8Z6N0W3Y4T7R9K1M2P
              apus task replay 01JD2V5Q8Z6N0W3Y4T7R9K1M2P --follow
            """)

    @Argument(help: ArgumentHelp("The task's id.", valueName: "id"))
    var id: String

    @Flag(name: .customLong("follow"), help: "Follow the new task to its end, as `apus task run` does.")
    var isFollowed = false

    @OptionGroup var options: BusOptions
    @OptionGroup var output: OutputOptions

    func validate() throws { _ = try TaskIDArgument.parse(id) }

    func run() async throws {
        try await reportingFailures {
            let id = try TaskIDArgument.parse(id)
            let outcome = try await BusSession.run(options) { session -> TaskOutcome? in
                let reply = try await session.call(
                    "tasks.replay", ["task_id": .string(id.description)], of: TaskCommand.program)
                guard let next = reply["task_id"]?.stringValue.flatMap(TaskID.init) else {
                    throw Failure("the worker's answer names no task; is it of another version?")
                }
                let console = Console.standard
                if isFollowed {
                    let view = TaskView(console: console, isJSON: output.isJSON)
                    return try await TaskWatch(session: session, id: next, view: view).untilEnd()
                }
                if output.isJSON { console.line(reply) } else { console.line(next.description) }
                return nil
            }
            if let outcome, outcome.exit != 0 { throw ExitCode(outcome.exit) }
        }
    }
}
