internal import ArgumentParser
internal import CommandLineCore
internal import Events
internal import Foundation
internal import JSON

struct TaskRunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Submits a task and follows it to its end.",
        discussion: """
            Ctrl-C asks to cancel the task; a second one leaves it to itself. The result goes to standard output.

            Exit status: 0 completed, 1 failed, 130 cancelled by ctrl-C.

            Examples:
              apus task run dataset.summarize --file path=orders.csv
              apus task run dataset.summarize '{"path": "/data/orders.csv"}' --user 42
              apus task run report --arg year=2026 --arg filter.country=NL --json
            """)

    @Argument(help: ArgumentHelp("The task's name, as in dataset.summarize.", valueName: "name"))
    var name: String

    @Argument(help: ArgumentHelp("The arguments as a JSON object.", valueName: "json"))
    var json: String?

    @Option(
        name: .customLong("arg"),
        help: ArgumentHelp(
            "One argument: JSON, or else text. A dotted key goes into an object. May be repeated.",
            valueName: "key=value"))
    var arguments: [String] = []

    @Option(
        name: .customLong("file"),
        help: ArgumentHelp(
            "One argument that is the path of a file here; it is passed on as an absolute path. May be repeated.",
            valueName: "key=path"))
    var files: [String] = []

    @Option(help: ArgumentHelp("Whose task it is: that user sees its progress.", valueName: "id"))
    var user: String?

    @Option(help: ArgumentHelp("The queue.", valueName: "name"))
    var queue: String?

    @Option(
        name: .customLong("max-attempts"), help: ArgumentHelp("How often it is tried at the most.", valueName: "n"))
    var maximumAttempts: Int?

    @Option(help: ArgumentHelp("How long one attempt may take: 30s, 5m.", valueName: "time"))
    var timeout: String?

    @Flag(name: .customLong("detach"), help: "Print the task's id and return at once.")
    var isDetached = false

    @OptionGroup var options: BusOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard TaskRequest.isName(name) else {
            throw ValidationError("a task's name has 1 to 128 letters, digits, _, - and single dots")
        }
        guard queue.map(TaskRequest.isQueue) ?? true else {
            throw ValidationError("--queue takes 1 to 64 letters, digits, _ and -")
        }
        guard user.map(TaskRequest.isUser) ?? true else { throw ValidationError("--user is no user's id") }
        guard (1...TaskRequest.maximumAttemptsLimit).contains(maximumAttempts ?? 1) else {
            throw ValidationError("--max-attempts takes a number from 1 to \(TaskRequest.maximumAttemptsLimit)")
        }
        if let timeout { _ = try DurationArgument.parse(timeout, of: "--timeout", limit: TaskRequest.timeoutLimit) }
        do throws(TaskArguments.Invalid) {
            _ = try TaskArguments.parse(json: json, pairs: arguments)
        } catch {
            throw ValidationError(error.description)
        }
        for pair in files where pair.firstIndex(of: "=").map({ $0 == pair.startIndex }) ?? true {
            throw ValidationError("--file takes key=path, not \"\(TerminalText.safe(pair))\"")
        }
    }

    func run() async throws {
        try await reportingFailures {
            let request = try request()
            let console = Console.standard
            let outcome = try await BusSession.run(options) { session -> TaskOutcome? in
                let id = try await submit(request, session)
                if isDetached {
                    console.line(
                        output.isJSON
                            ? JSONValue.object(["task_id": .string(id.description)]).description : id.description)
                    return nil
                }
                let view = TaskView(console: console, isJSON: output.isJSON)
                return try await TaskWatch(session: session, id: id, view: view).untilEnd()
            }
            guard let outcome else { return }
            if outcome.exit != 0 { throw ExitCode(outcome.exit) }
        }
    }

    private func request() throws -> TaskRequest {
        var arguments = try TaskArguments.parse(json: json, pairs: arguments)
        for pair in files {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let path = URL(fileURLWithPath: String(parts.last ?? "")).standardizedFileURL.path
            guard FileManager.default.fileExists(atPath: path) else {
                throw Failure("there is no file \(TerminalText.safe(path))")
            }
            arguments[String(parts[0])] = .string(path)
        }
        return TaskRequest(
            name: name, arguments: arguments, user: user, queue: queue ?? TaskRequest.defaultQueue,
            maximumAttempts: maximumAttempts, timeout: timeout.flatMap(DurationText.parse))
    }

    private func submit(_ request: TaskRequest, _ session: BusSession) async throws -> TaskID {
        var parameters = request.json
        if queue == nil, case .object(var members) = parameters {
            // A task may have a queue of its own, which only the worker knows.
            members["queue"] = nil
            parameters = .object(members)
        }
        let reply = try await session.call("tasks.submit", parameters, of: TaskCommand.program, user: user)
        guard let id = reply["task_id"]?.stringValue.flatMap(TaskID.init) else {
            throw Failure("the worker's answer names no task; is it of another version?")
        }
        return id
    }
}
