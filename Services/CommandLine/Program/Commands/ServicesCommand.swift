internal import ArgumentParser
internal import CommandLineCore
internal import EventBus
internal import Events
internal import Foundation
internal import JSON

struct ServicesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "services",
        abstract: "Lists the services that run, and what they were asked.",
        discussion: """
            Every service registers as a NATS micro service (ADR-32); those of your own that do are listed too. \
            `nats micro ls` shows the same.

            Examples:
              apus services
              apus services --endpoints
              apus services --json | jq -r .name
            """)

    @Flag(name: .customLong("endpoints"), help: "Show each method of each service.")
    var showsEndpoints = false

    @Option(help: ArgumentHelp("How long to gather answers.", valueName: "time"))
    var wait = "500ms"

    @OptionGroup var options: BusOptions
    @OptionGroup var output: OutputOptions

    func validate() throws { _ = try DurationArgument.parse(wait, of: "--wait", limit: .seconds(60)) }

    func run() async throws {
        try await reportingFailures {
            let wait = try DurationArgument.parse(wait, of: "--wait", limit: .seconds(60))
            let services = try await BusSession.run(options) { try await $0.services(within: wait) }
            let console = Console.standard
            if output.isJSON {
                for service in services { console.line(service.json) }
                return
            }
            guard !services.isEmpty else {
                return console.note("no service answers: start them with `apus dev`, or see `apus doctor`")
            }
            for line in table(services).lines(console.styler) { console.line(line) }
        }
    }

    private func table(_ services: [ServiceListing]) -> TextTable {
        var table = TextTable(columns: [
            .init("name"), .init(showsEndpoints ? "method" : "version"), .init("id"), .init("requests", .right),
            .init("errors", .right), .init("average", .right), .init("last error", maximumWidth: 60),
        ])
        for service in services {
            guard showsEndpoints else {
                let time = service.endpoints.reduce(Duration.zero) { $0 + $1.processingTime }
                table.append(
                    [
                        service.name, service.version, service.id, String(service.requests), String(service.errors),
                        service.requests > 0 ? DurationDisplay.text(time / service.requests) : "–",
                        service.endpoints.last { !$0.lastError.isEmpty }?.lastError ?? "",
                    ], styles: styles(hasErrors: service.errors > 0))
                continue
            }
            for endpoint in service.endpoints {
                table.append(
                    [
                        service.name, endpoint.name, service.id, String(endpoint.requests), String(endpoint.errors),
                        endpoint.averageTime.map(DurationDisplay.text) ?? "–", endpoint.lastError,
                    ], styles: styles(hasErrors: endpoint.errors > 0))
            }
        }
        return table
    }

    private func styles(hasErrors: Bool) -> [String: TextStyle] {
        hasErrors ? ["name": .cyan, "errors": .red] : ["name": .cyan]
    }
}

enum DurationArgument {
    static func parse(_ text: String, of option: String, limit: Duration) throws -> Duration {
        guard let duration = DurationText.parse(text), duration > .zero, duration <= limit else {
            throw ValidationError(
                "\(option) takes a time such as 500ms, 30s or 5m, at most \(DurationText.format(limit)), "
                    + "not \"\(TerminalText.safe(text))\"")
        }
        return duration
    }
}

extension BusSession {
    /// Every service that answers `$SRV.INFO` or `$SRV.STATS` within `wait`.
    func services(within wait: Duration) async throws -> [ServiceListing] {
        let inbox = "_INBOX.\(UUID().uuidString.replacing("-", with: ""))"
        let answers = try bus.messages(on: inbox, bufferLimit: 4096)
        try await bus.flush(timeout: .seconds(5))
        for verb in ["INFO", "STATS"] {
            try bus.publish(BusMessage(subject: "$SRV.\(verb)", replyTo: inbox))
        }
        let gathered = await withTaskGroup(of: [JSONValue]?.self) { group in
            group.addTask {
                var gathered: [JSONValue] = []
                for await answer in answers {
                    if let value = try? JSONValue(parsing: answer.payload) { gathered.append(value) }
                }
                return gathered
            }
            group.addTask {
                try? await Task.sleep(for: wait)
                return nil
            }
            // The wait ends first; the reader then returns what it has.
            _ = await group.next()
            group.cancelAll()
            return await group.next() ?? nil
        }
        return ServiceListing.gather(gathered ?? [])
    }
}
