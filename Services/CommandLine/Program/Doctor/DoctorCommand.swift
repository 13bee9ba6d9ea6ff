internal import ArgumentParser
internal import CommandLineCore
internal import JSON

struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Says what is missing or cannot be reached, and how to fix it.",
        discussion: """
            Looks at this machine, at the configuration, at NATS, at the services and at the gateway. Changes nothing.

            Exit status: 0 without a problem (there may be warnings), 1 with one.

            Examples:
              apus doctor
              apus doctor --config /etc/apus/apus.yaml
              apus doctor --json | jq 'select(.grade != "ok")'
            """)

    @OptionGroup var options: BusOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let console = Console.standard
        let findings = await Examination(options: options).findings()
        if output.isJSON {
            for finding in findings { console.line(finding.json) }
        } else {
            let columns = findings.reduce(0) { max($0, TerminalText.width($1.subject)) }
            for finding in findings {
                for line in finding.lines(console.styler, subjectColumns: columns) { console.line(line) }
            }
            console.line()
            console.line(summary(findings, console.styler))
        }
        if findings.contains(where: { $0.grade == .problem }) { throw ExitCode(1) }
    }

    private func summary(_ findings: [Finding], _ styler: Styler) -> String {
        let problems = findings.count { $0.grade == .problem }
        let warnings = findings.count { $0.grade == .warning }
        func counted(_ count: Int, _ word: String) -> String { "\(count) \(word)\(count == 1 ? "" : "s")" }
        if problems > 0 {
            return styler(counted(problems, "problem"), .red)
                + (warnings > 0 ? ", " + styler(counted(warnings, "warning"), .yellow) : "")
        }
        if warnings > 0 { return styler(counted(warnings, "warning"), .yellow) + ", no problem" }
        return styler("All is well.", .green)
    }
}
