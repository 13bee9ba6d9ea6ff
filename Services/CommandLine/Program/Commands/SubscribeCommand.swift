internal import ArgumentParser
internal import CommandLineCore
internal import EventBus
internal import Events
internal import JSON
internal import ServiceKit

struct SubscribeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "subscribe",
        abstract: "Prints the messages of channels as they come.",
        discussion: """
            Reads from the bus, as the gateway does, not through the gateway: no token is needed, and every channel can \
            be seen. Ctrl-C ends it.

            Examples:
              apus subscribe room:lobby
              apus subscribe user:42 admin:inventory-alerts --json | jq .data
              apus subscribe table:main.products --last 10
            """)

    @Argument(help: ArgumentHelp("The channels, as in room:lobby.", valueName: "channel"))
    var channels: [String]

    @Flag(name: .customLong("from-start"), help: "Begin with all that is kept of the channels.")
    var isFromStart = false

    @Option(help: ArgumentHelp("Begin with the last so many messages of each channel.", valueName: "n"))
    var last: Int?

    @Option(help: ArgumentHelp("End after so many messages.", valueName: "n"))
    var count: Int?

    @OptionGroup var options: BusOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard !channels.isEmpty else { throw ValidationError("name at least one channel, as in room:lobby") }
        for channel in channels { _ = try ChannelArgument.parse(channel) }
        guard (1...100_000).contains(last ?? 1) else { throw ValidationError("--last takes a number from 1 to 100000") }
        guard (count ?? 1) > 0 else { throw ValidationError("--count takes a number from 1") }
        guard last == nil || !isFromStart else { throw ValidationError("--last and --from-start exclude each other") }
    }

    func run() async throws {
        try await reportingFailures {
            let channels = try channels.map(ChannelArgument.parse)
            let start: ChannelReader.Start = isFromStart ? .beginning : last.map { .last($0) } ?? .now
            let printer = MessagePrinter(console: .standard, isJSON: output.isJSON, showsChannel: channels.count > 1)
            let console = Console.standard
            let count = count
            try await BusSession.run(options) { session in
                _ = try await Interruption.until {
                    try await ChannelReader(session: session).read(channels, from: start) { message in
                        printer.print(message)
                        return count.map { message.number < $0 } ?? true
                    } onReady: {
                        if console.isTerminal {
                            console.note(
                                "listening on \(channels.count == 1 ? "the channel" : "\(channels.count) channels"); ctrl-C ends"
                            )
                        }
                    } onWarning: {
                        console.warning($0)
                    }
                }
            }
        }
    }
}

/// Prints channel messages for people or for programs.
struct MessagePrinter: Sendable {
    let console: Console
    let isJSON: Bool
    let showsChannel: Bool

    func print(_ message: ChannelReader.Message) {
        if isJSON { return console.line(json(message)) }
        let styler = console.styler
        let time = message.time.description
        var head = styler(console.isTerminal ? String(time.dropFirst(11).prefix(8)) : time, .dim)
        head += "  " + styler(TerminalText.safe(message.channel.description), .cyan)
        head += "  " + styler(TerminalText.safe(message.event), .bold)
        guard console.isTerminal else {
            return console.line("\(head)  \(TerminalText.safe(message.data?.description ?? message.text))")
        }
        guard let data = message.data else {
            return console.line("\(head)  \(TerminalText.safe(message.text))  \(styler("(not JSON)", .yellow))")
        }
        let isShort = TerminalText.width(data.description) + 40 <= console.columns
        let body = PrettyJSON(styler: styler, columns: console.columns).text(data, indent: isShort ? 0 : 2)
        console.line(isShort ? "\(head)  \(body)" : "\(head)\n  \(body)")
    }

    private func json(_ message: ChannelReader.Message) -> JSONValue {
        var object: JSONObject = [
            "time": .string(message.time.description), "channel": .string(message.channel.description),
            "event": .string(message.event),
        ]
        object["offset"] = message.offset.map { .integer(Int64(clamping: $0)) }
        object["id"] = message.id.map { .string($0) }
        if let data = message.data { object["data"] = data } else { object["text"] = .string(message.text) }
        return .object(object)
    }
}
