internal import ArgumentParser
internal import CommandLineCore
internal import EventBus
internal import Events
internal import JSON
internal import ServiceKit

struct TaskTailCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tail",
        abstract: "Prints what becomes of tasks as it happens.",
        discussion: """
            Everybody's tasks unless told otherwise: a line per change of state and per ten percent of progress, with \
            --json every report. Ctrl-C ends it; with an id it ends with the task.

            Examples:
              apus task tail
              apus task tail --name dataset.summarize --status failed
              apus task tail --user 42 --json | jq -r .message
              apus task tail 01JD2V5Q8Z6N0W3Y4T7R9K1M2P
            """)

    @Argument(help: ArgumentHelp("Only this task.", valueName: "id"))
    var id: String?

    @Option(help: ArgumentHelp("Only this user's.", valueName: "id"))
    var user: String?

    @Option(help: ArgumentHelp("Only tasks of this name.", valueName: "name"))
    var name: String?

    @Option(
        help: ArgumentHelp(
            "Only reports of this state: \(TaskState.allCases.map(\.rawValue).joined(separator: ", ")).",
            valueName: "state"))
    var status: String?

    @Option(help: ArgumentHelp("End after so many lines.", valueName: "n"))
    var count: Int?

    @OptionGroup var options: BusOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        if let id { _ = try TaskIDArgument.parse(id) }
        try TaskStateArgument.check(status)
        guard name.map(TaskRequest.isName) ?? true else {
            throw ValidationError("a task's name has 1 to 128 letters, digits, _, - and single dots")
        }
        guard (count ?? 1) > 0 else { throw ValidationError("--count takes a number from 1") }
    }

    func run() async throws {
        try await reportingFailures {
            let id = try id.map(TaskIDArgument.parse)
            let filter = TaskTail.Filter(user: user, name: name, state: status.flatMap(TaskState.init))
            let (limit, isJSON) = (count ?? .max, output.isJSON)
            try await BusSession.run(options) { session in
                _ = try await Interruption.until {
                    try await TaskTailing(session: session, id: id, filter: filter, limit: limit, isJSON: isJSON).run()
                }
            }
        }
    }
}

/// Reads reports from the bus and prints those that are news.
private struct TaskTailing: Sendable {
    let session: BusSession
    let id: TaskID?
    let filter: TaskTail.Filter
    let limit: Int
    let isJSON: Bool

    func run() async throws {
        let console = Console.standard
        let subject = id.map { session.subjects.channel($0.channel) } ?? session.subjects.allChannels(in: "task")
        let messages = try session.bus.messages(on: subject, bufferLimit: 65_536)
        try await session.bus.flush(timeout: .seconds(5))
        var tail = TaskTail(filter: filter)
        var printed = 0
        /// - Returns: whether more is wanted.
        func take(_ status: TaskStatus) -> Bool {
            guard let news = tail.received(status) else { return true }
            if print(news, console) { printed += 1 }
            return printed < limit && (id == nil || !status.state.isFinal)
        }
        if let id {
            // How it stands; nothing may come of it any more.
            let present = try await session.call(
                "tasks.get", ["task_id": .string(id.description)], of: TaskCommand.program)
            if let status = TaskStatus(json: present), !take(status) { return }
        } else if console.isTerminal, !isJSON {
            console.note("listening for tasks; ctrl-C ends")
        }
        for await message in messages {
            guard let status = (try? JSONValue(parsing: message.payload)).flatMap(TaskStatus.init(json:)) else {
                continue
            }
            if !take(status) { return }
        }
    }

    /// - Returns: whether it was worth a line.
    private func print(_ news: TaskTail.News, _ console: Console) -> Bool {
        let status = news.status
        if isJSON {
            console.line(status.json)
            return true
        }
        guard let line = news.line else { return false }
        let styler = console.styler
        let time = (status.updatedAt ?? .now).description
        var head = styler(console.isTerminal ? String(time.dropFirst(11).prefix(8)) : time, .dim)
        if id == nil { head += "  \(status.id)  " + styler(TerminalText.safe(status.name), .bold) }
        console.line("\(head)  " + styler(line, status.state.style))
        return true
    }
}
