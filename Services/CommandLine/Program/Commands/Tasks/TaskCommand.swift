internal import ArgumentParser

struct TaskCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "task",
        abstract: "Runs tasks, and looks after those that run.",
        discussion: """
            Examples:
              apus task run dataset.summarize --file path=orders.csv
              apus task run apus.noop --detach
              apus task list --status failed
              apus task show 01JD…
              apus task cancel 01JD…
              apus task replay 01JD… --follow
              apus task tail --user 42
            """,
        subcommands: [
            TaskRunCommand.self, TaskListCommand.self, TaskShowCommand.self, TaskCancelCommand.self,
            TaskReplayCommand.self, TaskTailCommand.self,
        ])

    /// What answers `tasks.…`.
    static let program = "apus-worker"
}
