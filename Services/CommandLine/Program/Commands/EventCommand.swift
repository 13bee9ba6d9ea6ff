internal import ArgumentParser
internal import CommandLineCore
internal import EventBus
internal import Events
internal import Foundation
internal import JSON
internal import ServiceKit

struct EventCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "event",
        abstract: "Reports a business event.",
        discussion: """
            The event is stored in the stream of events before this returns; services such as the notifier take it \
            from there, now or when they run again.

            Examples:
              apus event order.status_changed '{"user_id": "42", "status": "shipped"}'
              apus event inventory.changed - < inventory.json
              apus event order.status_changed - --id order-1001-shipped < order.json
            """)

    @Argument(help: ArgumentHelp("The event's type, as in order.status_changed.", valueName: "type"))
    var type: String

    @Argument(help: ArgumentHelp("The event's data, a JSON object; - reads standard input.", valueName: "json"))
    var json: String

    @Option(
        name: .customLong("id"),
        help: ArgumentHelp("The event's id: one reported twice within two minutes counts once.", valueName: "id"))
    var id: String?

    @Option(help: ArgumentHelp("Who reports it (CloudEvents' source).", valueName: "uri"))
    var source = "apus/command-line"

    @OptionGroup var options: BusOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard (try? ChannelName(namespace: ChannelName.defaultNamespace, name: type)) != nil else {
            throw ValidationError(
                "an event's type has 1 to 200 bytes and no empty part between dots, as in order.status_changed")
        }
        for text in [type, source] + (id.map { [$0] } ?? []) where !HeaderArgument.isAllowed(text) {
            throw ValidationError("type, --id and --source take one line of text each")
        }
    }

    func run() async throws {
        try await reportingFailures {
            let event = CloudEvent(
                id: id ?? UUID().uuidString.lowercased(), source: source, type: type, time: .now,
                dataContentType: "application/json", data: try await JSONArgument.read(json))
            do throws(IncomingEventError) {
                _ = try IncomingEvent(headers: event.binaryHeaders, payload: event.data, subjectType: type)
            } catch {
                // No service could read it: better told here than found among the dead letters.
                throw Failure(error.description, exit: .usage)
            }
            let receipt = try await BusSession.run(options) { session in
                try session.checkSize(event.data)
                return try await append(event, session)
            }
            if output.isJSON {
                Console.standard.line([
                    "type": .string(type), "id": .string(event.id), "stream": .string(receipt.stream),
                    "sequence": .integer(Int64(clamping: receipt.sequence)), "duplicate": .bool(receipt.isDuplicate),
                ])
            } else if receipt.isDuplicate {
                Console.standard.line("\(TerminalText.safe(type)) was reported before with this id: nothing changed")
            } else {
                Console.standard.line(
                    "reported \(TerminalText.safe(type)) (\(receipt.stream), number \(receipt.sequence))")
            }
        }
    }

    private func append(_ event: CloudEvent, _ session: BusSession) async throws -> AppendReceipt {
        var message = BusMessage(subject: session.subjects.event(type), payload: event.data)
        message.headers[HeaderName.messageID] = event.id
        message.headers["Content-Type"] = event.dataContentType
        message.headers.describe(event)
        var receipt: AppendReceipt?
        try await session.retrying("the event to be stored") {
            // The notifier may never have run here: the event must not be lost for that.
            try await session.bus.ensureStream(.events(session.subjects))
            receipt = try await session.bus.append(message)
        }
        guard let receipt else { throw Failure("the event was not stored") }
        return receipt
    }
}
