internal import ArgumentParser
internal import CommandLineCore
internal import EventBus
internal import Events
internal import Foundation
internal import JSON

struct PublishCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "publish",
        abstract: "Publishes a message on a channel.",
        discussion: """
            Returns when the message is stored, for channels with history, and else when the server has it. With --id, \
            publishing the same again within two minutes stores nothing new.

            Examples:
              apus publish room:lobby '{"text": "hello"}'
              apus publish topic:news - < article.json
              apus publish user:42 '{"title": "Hello"}' --event notification --id hello-42
            """)

    @Argument(help: ArgumentHelp("The channel, as in room:lobby.", valueName: "channel"))
    var channel: String

    @Argument(help: ArgumentHelp("The message, any JSON; - reads standard input.", valueName: "json"))
    var json: String

    @Option(help: ArgumentHelp("The event's name.", valueName: "name"))
    var event = "message"

    @Option(name: .customLong("id"), help: ArgumentHelp("Makes it idempotent: the message's id.", valueName: "id"))
    var messageID: String?

    @OptionGroup var options: BusOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        _ = try ChannelArgument.parse(channel)
        guard HeaderArgument.isAllowed(event) else { throw ValidationError("--event takes one line of text") }
        guard messageID.map(HeaderArgument.isAllowed) ?? true else {
            throw ValidationError("--id takes one line of text")
        }
    }

    func run() async throws {
        try await reportingFailures {
            let channel = try ChannelArgument.parse(channel)
            let payload = try await JSONArgument.read(json)
            // With an id of its own, trying again cannot store the message twice.
            let messageID = messageID ?? UUID().uuidString.lowercased()
            try await BusSession.run(options) { session in
                try session.checkSize(payload)
                let publisher = ChannelPublisher(bus: session.bus, subjects: session.subjects)
                try await session.retrying("the message to be stored") {
                    try await publisher.publish(payload, on: channel, event: event, messageID: messageID)
                    try await session.bus.flush(timeout: .seconds(5))
                }
            }
            if output.isJSON {
                Console.standard.line([
                    "channel": .string(channel.description), "event": .string(event), "id": .string(messageID),
                ])
            } else {
                Console.standard.line("published on \(TerminalText.safe(channel.description))")
            }
        }
    }
}

enum ChannelArgument {
    static func parse(_ text: String) throws -> ChannelName {
        do throws(ChannelName.Invalid) {
            return try ChannelName(text)
        } catch {
            throw ValidationError("\"\(TerminalText.safe(text))\" is no channel: \(error)")
        }
    }
}

enum HeaderArgument {
    /// Whether `text` may be the value of a header.
    static func isAllowed(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 1024 && text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
    }
}
