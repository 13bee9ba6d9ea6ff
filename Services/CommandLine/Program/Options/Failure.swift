internal import ArgumentParser
internal import CommandLineCore
internal import EventBus
internal import JSON

/// Ends the tool with a message for people and an exit status.
struct Failure: Error, CustomStringConvertible {
    enum Exit: Int32 {
        case failed = 1
        case usage = 64
        case configuration = 78
        case interrupted = 130
    }

    let description: String
    let exit: Exit

    init(_ description: String, exit: Exit = .failed) {
        self.description = description
        self.exit = exit
    }
}

extension AsyncParsableCommand {
    /// Runs `body` and turns what it throws into one message on standard error and the exit status that it stands for.
    func reportingFailures(_ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch let exit as ExitCode {
            throw exit
        } catch let error as ValidationError {
            throw error
        } catch {
            let failure = Failure(explaining: error)
            Console.standard.problem(failure.description)
            throw ExitCode(failure.exit.rawValue)
        }
    }
}

extension Failure {
    init(explaining error: any Error) {
        switch error {
        case let failure as Failure: self = failure
        case let error as RPCError: self.init("\(error.message) (code \(error.code))")
        case let error as BusError: self.init("\(error.message) (\(error.code))")
        case is CancellationError: self.init("interrupted", exit: .interrupted)
        default: self.init("\(error)")
        }
    }
}
