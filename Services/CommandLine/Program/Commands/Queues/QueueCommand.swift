internal import ArgumentParser
internal import CommandLineCore
internal import Events
internal import JSON
internal import ServiceKit

struct QueueCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "queue",
        abstract: "Looks into the queues of tasks, and stops and empties them.",
        discussion: """
            Examples:
              apus queue list
              apus queue pause reports
              apus queue resume reports
              apus queue purge reports
            """,
        subcommands: [QueueListCommand.self, QueuePauseCommand.self, QueueResumeCommand.self, QueuePurgeCommand.self])
}

struct QueueListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Lists the queues: what waits, for how long, and what runs.",
        discussion: """
            Examples:
              apus queue list
              apus queue list --json | jq -r 'select(.paused).name'
            """)

    @OptionGroup var options: BusOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        try await reportingFailures {
            let queues = try await BusSession.run(options) { try await $0.queues() }
            let console = Console.standard
            if output.isJSON {
                for queue in queues { console.line(queue) }
                return
            }
            let listings = queues.compactMap(QueueListing.init(json:))
            guard !listings.isEmpty else { return console.note("no queues: no worker serves one, and nothing waits") }
            for line in QueueListing.table(listings).lines(console.styler) { console.line(line) }
        }
    }
}

struct QueuePauseCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause",
        abstract: "Has all workers begin no more tasks of a queue. Those that run go on, and what comes waits.",
        discussion: """
            Lasts until `apus queue resume`, over restarts of workers too.

            Examples:
              apus queue pause reports
            """)

    @OptionGroup var queue: QueueArgument
    @OptionGroup var options: BusOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        try await reportingFailures {
            let reply = try await BusSession.run(options) { try await queue.call("queues.pause", $0) }
            if output.isJSON {
                Console.standard.line(reply)
            } else {
                Console.standard.line("queue \(queue.name) is paused")
            }
        }
    }
}

struct QueueResumeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume",
        abstract: "Has workers go on with a queue that was paused.",
        discussion: """
            Examples:
              apus queue resume reports
            """)

    @OptionGroup var queue: QueueArgument
    @OptionGroup var options: BusOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        try await reportingFailures {
            let reply = try await BusSession.run(options) { try await queue.call("queues.resume", $0) }
            if output.isJSON {
                Console.standard.line(reply)
            } else {
                Console.standard.line("queue \(queue.name) goes on")
            }
        }
    }
}

struct QueuePurgeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "purge",
        abstract: "Cancels all tasks of a queue that do not run yet.",
        discussion: """
            Asks first; --yes does not.

            Examples:
              apus queue purge reports
              apus queue purge reports --yes
            """)

    @OptionGroup var queue: QueueArgument
    @OptionGroup var confirmation: ConfirmationOption
    @OptionGroup var options: BusOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        try await reportingFailures {
            let (purged, remaining) = try await BusSession.run(options) { session in
                try await queue.check(session)
                try confirmation.confirm("Everything that waits in queue \(queue.name) is to be cancelled.")
                return try await purge(session)
            }
            let console = Console.standard
            if output.isJSON { return console.line(["purged": .integer(purged), "remaining": .integer(remaining)]) }
            console.line("\(purged) \(purged == 1 ? "task" : "tasks") of queue \(queue.name) will not run")
            if remaining > 0 { console.warning("\(remaining) could not be taken out or have come since; purge again") }
        }
    }

    /// Asks until nothing remains: the worker takes out so many at once.
    private func purge(_ session: BusSession) async throws -> (purged: Int64, remaining: Int64) {
        var total: Int64 = 0
        while true {
            let reply = try await session.call("queues.purge", ["queue": .string(queue.name)], of: TaskCommand.program)
            let purged = reply["purged"]?.integerValue ?? 0
            let remaining = reply["remaining"]?.integerValue ?? 0
            total += purged
            if remaining == 0 || purged == 0 { return (total, remaining) }
        }
    }
}

/// The queue that a command is about.
struct QueueArgument: ParsableArguments {
    @Argument(help: ArgumentHelp("The queue's name.", valueName: "queue"))
    var name: String

    func validate() throws {
        guard TaskRequest.isQueue(name) else {
            throw ValidationError(
                "\"\(TerminalText.safe(name))\" is no queue's name: 1 to 64 letters, digits, _ and -")
        }
    }

    /// Calls a method with the queue, which must be one that there is.
    func call(_ method: String, _ session: BusSession) async throws -> JSONValue {
        try await check(session)
        return try await session.call(method, ["queue": .string(name)], of: TaskCommand.program)
    }

    /// A misspelled queue would be paused just as well, and nobody would notice.
    func check(_ session: BusSession) async throws {
        let known = try await session.queues().compactMap { $0["name"]?.stringValue }
        guard !known.contains(name) else { return }
        let hint =
            Suggestion.closest(to: name, among: known).map { "did you mean \(TerminalText.safe($0))?" }
            ?? (known.isEmpty
                ? "no worker serves any"
                : "there are \(known.sorted().map { TerminalText.safe($0) }.joined(separator: ", "))")
        throw Failure("there is no queue \(name): \(hint)")
    }
}

extension BusSession {
    /// The queues, by name.
    func queues() async throws -> [JSONValue] {
        let reply = try await call("queues.list", [:], of: TaskCommand.program)
        return (reply["queues"]?.arrayValue ?? []).sorted {
            ($0["name"]?.stringValue ?? "") < ($1["name"]?.stringValue ?? "")
        }
    }
}
