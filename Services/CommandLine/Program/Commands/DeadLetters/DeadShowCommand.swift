internal import ArgumentParser
internal import CommandLineCore
internal import EventBus
internal import Events
internal import JSON

struct DeadShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Shows one dead letter: why, after which errors, and what it was.",
        discussion: """
            Examples:
              apus dead show 12
              apus dead show 12 --json | jq .payload
            """)

    @Argument(help: ArgumentHelp("Its sequence, as `apus dead list` shows it.", valueName: "sequence"))
    var sequence: Int64

    @OptionGroup var options: BusOptions
    @OptionGroup var output: OutputOptions

    func validate() throws { try DeadLetterArgument.check(sequence) }

    func run() async throws {
        try await reportingFailures {
            let value = try await BusSession.run(options) {
                try await $0.call("dead.show", ["sequence": .integer(sequence)], of: TaskCommand.program)
            }
            let console = Console.standard
            guard !output.isJSON, let letter = DeadLetterListing(json: value) else { return console.line(value) }
            let fields = FieldList(console)
            fields.line("sequence", String(letter.sequence))
            fields.line("name", letter.name)
            fields.line("task", letter.taskID)
            fields.line("subject", value["subject"]?.stringValue)
            fields.line("died", letter.at?.description)
            fields.line("attempts", String(letter.attempts))
            fields.line("reason", letter.reason)
            fields.errors(value["errors"])
            fields.value("payload", value["payload"])
        }
    }
}

struct DeadReplayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Runs tasks that died once more, as new tasks, and takes their letters away.",
        discussion: """
            The ids of the new tasks are printed.

            Examples:
              apus dead replay 12
              apus dead replay 12 13 14
              apus dead replay --all --name report
            """)

    @Argument(help: ArgumentHelp("Sequences, as `apus dead list` shows them.", valueName: "sequence"))
    var sequences: [Int64] = []

    @Flag(name: .customLong("all"), help: "All that there are now, or with --name all of that name.")
    var isAll = false

    @Option(help: ArgumentHelp("With --all: only those of this task.", valueName: "name"))
    var name: String?

    @OptionGroup var options: BusOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        for sequence in sequences { try DeadLetterArgument.check(sequence) }
        guard isAll == sequences.isEmpty else {
            throw ValidationError("name the letters by their sequences, or say --all: `apus dead list` shows them")
        }
        guard isAll || name == nil else { throw ValidationError("--name goes with --all") }
    }

    func run() async throws {
        try await reportingFailures {
            let refused = try await BusSession.run(options) { session in
                var sequences = sequences
                if isAll {
                    // The oldest first, as they were submitted.
                    sequences = try await DeadLetterPages(session: session, name: name).first(.max)
                        .compactMap { $0["sequence"]?.integerValue }.reversed()
                    if sequences.isEmpty { Console.standard.note("no dead letters") }
                }
                return try await replay(sequences, session)
            }
            if refused > 0 { throw ExitCode(1) }
        }
    }

    /// - Returns: how many could not be replayed. One that cannot does not keep the others.
    private func replay(_ sequences: [Int64], _ session: BusSession) async throws -> Int {
        let console = Console.standard
        var refused = 0
        for sequence in sequences {
            do {
                let reply = try await session.call(
                    "dead.replay", ["sequence": .integer(sequence)], of: TaskCommand.program)
                guard !output.isJSON, let id = reply["task_id"]?.stringValue else {
                    console.line(reply)
                    continue
                }
                console.line(TerminalText.safe(id))
            } catch let error as RPCError {
                refused += 1
                console.problem("\(sequence): \(Failure(explaining: error))")
            }
        }
        return refused
    }
}

enum DeadLetterArgument {
    static func check(_ sequence: Int64) throws {
        guard sequence > 0 else {
            throw ValidationError("a letter's sequence is a number from 1; `apus dead list` shows them")
        }
    }
}
