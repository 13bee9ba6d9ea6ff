internal import ArgumentParser

/// How to reach the bus: on every command that talks to it.
struct BusOptions: ParsableArguments {
    @Option(
        name: .customLong("nats-url"),
        help: ArgumentHelp(
            "One or more NATS servers, comma-separated (default: nats://127.0.0.1:4222).", valueName: "url"))
    var natsURL: String?

    @Option(
        name: .customLong("nats-credentials"), help: ArgumentHelp("A NATS credentials file.", valueName: "file"))
    var natsCredentials: String?

    @Option(
        name: .customLong("nats-tls-ca"),
        help: ArgumentHelp("Certificates that may have signed the server's, in PEM.", valueName: "file"))
    var natsAuthorities: String?

    @Option(
        name: .customLong("nats-tls-certificate"),
        help: ArgumentHelp("Our own certificate, for servers that ask for one, in PEM.", valueName: "file"))
    var natsCertificate: String?

    @Option(name: .customLong("nats-tls-key"), help: ArgumentHelp("Its key, in PEM.", valueName: "file"))
    var natsKey: String?

    @Option(
        name: .customLong("bus-prefix"),
        help: ArgumentHelp("The first token of every subject (default: apus).", valueName: "prefix"))
    var busPrefix: String?

    @OptionGroup var file: ConfigurationFileOption

    /// The flags by the keys that they set.
    var flags: [String: String] {
        var flags: [String: String] = [:]
        flags["nats.url"] = natsURL
        flags["nats.credentials"] = natsCredentials
        flags["nats.tls.ca"] = natsAuthorities
        flags["nats.tls.certificate"] = natsCertificate
        flags["nats.tls.key"] = natsKey
        flags["bus.prefix"] = busPrefix
        return flags
    }

    func settings() throws -> ToolSettings { try ToolSettings(flags: flags, configurationFile: file.path) }
}

struct ConfigurationFileOption: ParsableArguments {
    @Option(
        name: .customLong("config"), help: ArgumentHelp("The configuration file of the services.", valueName: "file"))
    var path: String?
}

/// `--json`: for programs instead of for people.
struct OutputOptions: ParsableArguments {
    @Flag(name: .customLong("json"), help: "Print JSON, one value a line, for programs.")
    var isJSON = false
}
