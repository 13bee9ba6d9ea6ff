internal import ArgumentParser
internal import CommandLineCore
internal import Events
internal import JSON
internal import ServiceKit

struct DeadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dead",
        abstract: "Looks into what could not be handled, and has it tried again.",
        discussion: """
            A task that is out of attempts, and whatever else nobody could handle, is kept as a dead letter.

            Examples:
              apus dead list
              apus dead show 12
              apus dead replay 12
              apus dead replay --all --name report
            """,
        subcommands: [DeadListCommand.self, DeadShowCommand.self, DeadReplayCommand.self, DeadPurgeCommand.self])
}

struct DeadListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Lists dead letters, the newest first.",
        discussion: """
            Examples:
              apus dead list
              apus dead list --name report --limit 200
              apus dead list --json | jq -r .reason
            """)

    @Option(help: ArgumentHelp("Only those of this task, or type of event.", valueName: "name"))
    var name: String?

    @Option(help: ArgumentHelp("How many at the most.", valueName: "n"))
    var limit = 50

    @OptionGroup var options: BusOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard (1...10_000).contains(limit) else { throw ValidationError("--limit takes a number from 1 to 10000") }
    }

    func run() async throws {
        try await reportingFailures {
            let letters = try await BusSession.run(options) {
                try await DeadLetterPages(session: $0, name: name).first(limit)
            }
            let console = Console.standard
            if output.isJSON {
                for letter in letters { console.line(letter) }
                return
            }
            guard !letters.isEmpty else { return console.note("no dead letters") }
            let table = DeadLetterListing.table(letters.compactMap(DeadLetterListing.init(json:)), now: .now)
            for line in table.lines(console.styler) { console.line(line) }
        }
    }
}

struct DeadPurgeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "purge",
        abstract: "Throws dead letters away.",
        discussion: """
            Asks first; --yes does not.

            Examples:
              apus dead purge --name report
              apus dead purge --yes
            """)

    @Option(help: ArgumentHelp("Only those of this task, or type of event.", valueName: "name"))
    var name: String?

    @OptionGroup var confirmation: ConfirmationOption
    @OptionGroup var options: BusOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        try await reportingFailures {
            var parameters = JSONObject()
            parameters["name"] = name.map { .string($0) }
            let which = name.map { "All dead letters of \(TerminalText.safe($0))" } ?? "All dead letters"
            let reply = try await BusSession.run(options) { session in
                try confirmation.confirm("\(which) are to be thrown away.")
                return try await session.call("dead.purge", .object(parameters), of: TaskCommand.program)
            }
            guard !output.isJSON else { return Console.standard.line(reply) }
            Console.standard.line("\(reply["purged"]?.integerValue ?? 0) thrown away")
        }
    }
}

/// The dead letters that the worker lists, page by page.
struct DeadLetterPages {
    /// What the worker gives at once.
    private static let pageLimit = 200

    let session: BusSession
    let name: String?

    /// The newest `count`, newest first.
    func first(_ count: Int) async throws -> [JSONValue] {
        var letters: [JSONValue] = []
        var parameters = JSONObject()
        parameters["name"] = name.map { .string($0) }
        while letters.count < count {
            parameters["limit"] = .integer(Int64(min(DeadLetterPages.pageLimit, count - letters.count)))
            let reply = try await session.call("dead.list", .object(parameters), of: TaskCommand.program)
            letters += reply["letters"]?.arrayValue ?? []
            guard let next = reply["next"], !next.isNull, next != parameters["before"] else { break }
            parameters["before"] = next
        }
        return letters
    }
}
