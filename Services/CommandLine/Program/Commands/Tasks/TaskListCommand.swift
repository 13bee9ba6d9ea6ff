internal import ArgumentParser
internal import CommandLineCore
internal import Events
internal import JSON
internal import ServiceKit

struct TaskListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Lists tasks, the newest first.",
        discussion: """
            Examples:
              apus task list
              apus task list --user 42 --status processing
              apus task list --limit 500 --json | jq -r 'select(.attempt > 1).task_id'
            """)

    @Option(help: ArgumentHelp("Only this user's.", valueName: "id"))
    var user: String?

    @Option(
        help: ArgumentHelp(
            "Only those in this state: \(TaskState.allCases.map(\.rawValue).joined(separator: ", ")).",
            valueName: "state"))
    var status: String?

    @Option(help: ArgumentHelp("How many at the most.", valueName: "n"))
    var limit = 50

    /// What the worker gives at once.
    private static let pageLimit = 200

    @OptionGroup var options: BusOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        try TaskStateArgument.check(status)
        guard (1...1000).contains(limit) else { throw ValidationError("--limit takes a number from 1 to 1000") }
    }

    func run() async throws {
        try await reportingFailures {
            var parameters = JSONObject()
            parameters["user"] = user.map { .string($0) }
            parameters["status"] = status.map { .string($0) }
            let tasks = try await BusSession.run(options) { try await self.tasks(parameters, $0) }
            let console = Console.standard
            if output.isJSON {
                for task in tasks { console.line(task.json) }
                return
            }
            guard !tasks.isEmpty else { return console.note("no tasks") }
            for line in table(tasks).lines(console.styler) { console.line(line) }
        }
    }

    /// Page by page, until there are enough.
    private func tasks(_ filter: JSONObject, _ session: BusSession) async throws -> [TaskStatus] {
        var tasks: [TaskStatus] = []
        var parameters = filter
        while tasks.count < limit {
            parameters["limit"] = .integer(Int64(min(TaskListCommand.pageLimit, limit - tasks.count)))
            let reply = try await session.call("tasks.list", .object(parameters), of: TaskCommand.program)
            tasks += (reply["tasks"]?.arrayValue ?? []).compactMap(TaskStatus.init(json:))
            guard let next = reply["next"]?.stringValue, next != parameters["before"]?.stringValue else { break }
            parameters["before"] = .string(next)
        }
        return tasks
    }

    private func table(_ tasks: [TaskStatus]) -> TextTable {
        var table = TextTable(columns: [
            .init("id"), .init("name"), .init("status"), .init("progress", .right), .init("attempt", .right),
            .init("user"), .init("age", .right), .init("message", maximumWidth: 60),
        ])
        let now = Timestamp.now
        for task in tasks {
            let age = (task.submittedAt ?? task.id.moment).map { DurationDisplay.text($0.duration(to: now)) } ?? ""
            table.append(
                [
                    task.id.description, task.name, task.state.rawValue,
                    "\(Int(min(100, max(0, task.progress)))) %", task.attempt > 0 ? String(task.attempt) : "–",
                    task.user ?? "", age, task.message ?? "",
                ], styles: ["status": task.state.style])
        }
        return table
    }
}
