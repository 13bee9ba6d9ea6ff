internal import ArgumentParser
internal import CommandLineCore
internal import Events
internal import Foundation
internal import ServiceKit

struct DevelopmentCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dev",
        abstract: "Runs everything on this machine.",
        discussion: """
            Starts nats-server with JetStream and the four services, with a demonstration database and a sample file, \
            shows what they say, and prints the page's address with logins. Everything it makes is in the data folder; \
            its configuration, apus.yaml, is yours to change. Other commands that are called from the same folder find \
            the running system by themselves.

            Ctrl-C stops all that it started, and nothing else; a second one does so at once.

            Examples:
              apus dev
              apus dev --port 9000 --data /tmp/apus
              apus dev --nats-url nats://127.0.0.1:4222
            """)

    @Option(help: ArgumentHelp("The folder for everything that is kept.", valueName: "folder"))
    var data = DataFolder.usualPath

    @Option(
        help: ArgumentHelp(
            "The page's port; 0 picks a free one (default: what the configuration says, at first 8080).",
            valueName: "port"))
    var port: Int?

    @Option(
        name: .customLong("nats-port"),
        help: ArgumentHelp(
            "The port of the NATS server that it starts; 0 picks a free one (default: 4222, or a free one where that "
                + "is taken).", valueName: "port"))
    var natsPort: Int?

    @Option(
        name: .customLong("log-level"),
        help: ArgumentHelp("How much the services tell: debug, info, notice, warning or error.", valueName: "level"))
    var logLevel: String?

    @OptionGroup var options: BusOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        for (name, port) in [("--port", port), ("--nats-port", natsPort)] where !(0...65_535).contains(port ?? 0) {
            throw ValidationError("\(name) takes a number from 0 to 65535")
        }
        guard natsPort == nil || options.natsURL == nil else {
            throw ValidationError("--nats-port is for a server that this starts, --nats-url for one that runs already")
        }
    }

    func run() async throws {
        try await reportingFailures {
            let folder = DataFolder(path: data)
            let plan = try await DevelopmentPlan.make(
                folder: folder, options: options, ports: .init(page: port, nats: natsPort), logLevel: logLevel,
                environment: ProcessInfo.processInfo.environment)
            let lock = try folder.lock()
            defer { withExtendedLifetime(lock) {} }
            try await DevelopmentRun(plan: plan, folder: folder, isJSON: output.isJSON).untilStopped()
        }
    }
}
