internal import ArgumentParser
internal import CommandLineCore
internal import Events
internal import JSON
internal import ServiceKit

struct GroupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "group",
        abstract: "Looks after groups of tasks.",
        discussion: """
            Examples:
              apus group show 01JD2V5Q8Z6N0W3Y4T7R9K1M2P
              apus group cancel 01JD2V5Q8Z6N0W3Y4T7R9K1M2P
            """,
        subcommands: [GroupShowCommand.self, GroupCancelCommand.self])
}

struct GroupShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Shows how far a group of tasks is.",
        discussion: """
            Examples:
              apus group show 01JD2V5Q8Z6N0W3Y4T7R9K1M2P
              apus group show 01JD2V5Q8Z6N0W3Y4T7R9K1M2P --json | jq .failed
            """)

    @OptionGroup var group: GroupArgument
    @OptionGroup var options: BusOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        try await reportingFailures {
            let value = try await BusSession.run(options) { try await group.call("tasks.group.get", $0) }
            let console = Console.standard
            guard !output.isJSON else { return console.line(value) }
            let fields = FieldList(console)
            fields.line("group", value["group_id"]?.stringValue)
            fields.line(
                "status", value["cancelled_at"]?.stringValue == nil ? value["status"]?.stringValue : "cancelled")
            let ended = ["completed", "failed", "cancelled"].compactMap { name in
                value[name]?.integerValue.flatMap { $0 > 0 ? "\($0) \(name)" : nil }
            }
            let total = value["total"]?.integerValue ?? 0
            fields.line("tasks", (["\(total)"] + ended).joined(separator: ", "))
            fields.line("user", value["user"]?.stringValue)
            fields.line("created", value["created_at"]?.stringValue)
            fields.line("finished", value["finished_at"]?.stringValue)
            fields.line("then", value["then"]?.stringValue)
            var table = TextTable(columns: [.init("task"), .init("status"), .init("chain ended with")])
            for task in value["tasks"]?.arrayValue ?? [] {
                let status = task["status"]?.stringValue ?? ""
                table.append(
                    [task["task_id"]?.stringValue ?? "", status, task["last_task_id"]?.stringValue ?? ""],
                    styles: TaskState(rawValue: status).map { ["status": $0.style] } ?? [:])
            }
            for line in table.lines(console.styler) { console.line(line) }
        }
    }
}

struct GroupCancelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel",
        abstract: "Cancels all tasks of a group that have not ended. What was to run after them does not.",
        discussion: """
            Examples:
              apus group cancel 01JD2V5Q8Z6N0W3Y4T7R9K1M2P
            """)

    @OptionGroup var group: GroupArgument
    @OptionGroup var options: BusOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        try await reportingFailures {
            let reply = try await BusSession.run(options) { try await group.call("tasks.group.cancel", $0) }
            guard !output.isJSON else { return Console.standard.line(reply) }
            let count = reply["cancelled"]?.integerValue ?? 0
            Console.standard.line("\(count) \(count == 1 ? "task" : "tasks") of the group cancelled")
            if let remaining = reply["remaining"]?.integerValue, remaining > 0 {
                Console.standard.note("\(remaining) more will be in a moment; `apus group show \(group.id)` tells")
            }
        }
    }
}

/// The group that a command is about.
struct GroupArgument: ParsableArguments {
    @Argument(help: ArgumentHelp("The group's id, as tasks.group has answered it.", valueName: "id"))
    var id: String

    func validate() throws {
        guard TaskID(id) != nil else { throw ValidationError("\"\(TerminalText.safe(id))\" is no group's id") }
    }

    func call(_ method: String, _ session: BusSession) async throws -> JSONValue {
        try await session.call(method, ["group_id": .string(id)], of: TaskCommand.program)
    }
}
