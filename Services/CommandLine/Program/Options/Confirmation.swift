internal import ArgumentParser
internal import Foundation

/// `--yes`: on commands that destroy what cannot be had back.
struct ConfirmationOption: ParsableArguments {
    @Flag(name: .customLong("yes"), help: "Do it without asking.")
    var isGiven = false

    /// Asks on a terminal; elsewhere there is nobody to ask.
    /// - Throws: ``Failure`` unless the answer is yes.
    func confirm(_ question: String) throws {
        guard !isGiven else { return }
        guard isatty(STDIN_FILENO) == 1 else {
            throw Failure("\(question) Say so with --yes, since nobody can be asked here", exit: .usage)
        }
        Console.standard.note("\(question) [y/N]")
        guard let answer = readLine()?.lowercased(), ["y", "yes"].contains(answer) else {
            throw Failure("nothing was done")
        }
    }
}
