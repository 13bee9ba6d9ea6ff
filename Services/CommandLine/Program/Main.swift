internal import ArgumentParser
internal import CommandLineCore
internal import Foundation
internal import ServiceKit

/// The root of the command line: `apus <subcommand>`.
struct Apus: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apus",
        abstract: "Runs Apus on this machine, and looks into a running one.",
        discussion: """
            Start here:
              apus dev                    everything on this machine, with a page
              apus subscribe user:42      see what reaches a user
              apus event order.status_changed '{"user_id": "42", "status": "shipped"}'
              apus task run dataset.summarize --file path=orders.csv
              apus doctor                 what is missing, and how to fix it

            Settings come from the command line (--nats-url), else the environment (APUS_NATS_URL), else the YAML file \
            that --config or APUS_CONFIG names, else the file that `apus dev` keeps in ./.apus, else defaults.

            Exit status: 0 done, 1 failed, 64 wrong usage, 78 wrong configuration, 130 interrupted.
            """,
        version: apusVersion,
        subcommands: [
            DevelopmentCommand.self, TokenCommand.self, PublishCommand.self, SubscribeCommand.self, EventCommand.self,
            TaskCommand.self, GroupCommand.self, QueueCommand.self, DeadCommand.self, ServicesCommand.self,
            DoctorCommand.self,
        ])
}

@main
struct Program {
    static func main() async {
        // Before anything else, since what follows must not run twice: this process is about to become another program.
        if CommandLine.arguments.dropFirst().first == ChildLaunch.command {
            ChildLaunch.becomeProgram(CommandLine.arguments.dropFirst(2))
        }
        if let problem = Apus.misspelled(Array(CommandLine.arguments.dropFirst().prefix(2))) {
            Console.standard.problem(problem)
            exit(Failure.Exit.usage.rawValue)
        }
        await Apus.main()
    }
}

extension Apus {
    /// What to say of the first words if one is no command; nil for what the parser understands.
    fileprivate static func misspelled(_ words: [String]) -> String? {
        var commands = configuration.subcommands
        var path = "apus"
        for word in words {
            // An argument of a command that has no others below it.
            if commands.isEmpty { return nil }
            let names = commands.compactMap { $0.configuration.commandName }
            if word.hasPrefix("-") || word == "help" { return nil }
            guard let command = commands.first(where: { $0.configuration.commandName == word }) else {
                let suggestion =
                    Suggestion.closest(to: word, among: names).map { "did you mean `\(path) \($0)`? " } ?? ""
                return "there is no command `\(TerminalText.safe(word))`: \(suggestion)`\(path) --help` lists all"
            }
            commands = command.configuration.subcommands
            path += " \(word)"
        }
        return nil
    }
}
