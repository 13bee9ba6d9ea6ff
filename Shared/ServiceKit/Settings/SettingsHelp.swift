/// The text of `--help`: every key with its type and default.
struct SettingsHelp {
    let program: String
    let summary: String
    let definitions: [SettingDefinition]

    var text: String {
        var lines = [
            "\(program): \(summary)", "",
            "Usage: \(program) [--config FILE] [--KEY VALUE ...]", "",
            "Each key below can be set on the command line (--nats-url), in the environment (APUS_NATS_URL) or in the",
            "YAML file that --config (or APUS_CONFIG) names (nats.url); the first of these that sets it wins.", "",
        ]
        for definition in definitions {
            let type = definition.kind == .structure ? "YAML, file only" : definition.kind.rawValue
            let fallback = definition.defaultValue.map { ", default \($0)" } ?? ""
            let name = definition.kind == .structure ? "  \(definition.key)" : "  \(definition.flag)"
            lines.append("\(name)  (\(type)\(fallback))")
            lines.append("      \(definition.help)")
        }
        lines += [
            "", "  --config FILE  the configuration file, shared by all services", "  --help         this text",
            "  --version      the version", "",
            "Exit status: 0 after a drain (SIGTERM, SIGINT), 64 wrong usage, 78 wrong configuration, 1 anything else.",
        ]
        return lines.joined(separator: "\n")
    }
}
