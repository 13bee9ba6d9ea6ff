internal import Events
internal import Glibc
internal import JSON
internal import Logging
internal import Metrics
internal import TaskWorkerCore
internal import Tasks

/// Runs a program as a task: arguments as one JSON object on its standard input, progress and result as JSON lines on
/// its standard output, its standard error into the log.
struct ExecTask: Sendable {
    /// Between the request to end, SIGTERM, and the end, SIGKILL.
    static let killDelay = Duration.seconds(2)

    let task: ExecTaskDefinition

    init(_ task: ExecTaskDefinition) { self.task = task }

    var definition: TaskDefinition {
        TaskDefinition(
            name: task.name, maximumAttempts: task.maximumAttempts, timeout: task.timeout,
            softTimeout: task.softTimeout, retry: task.retry
        ) { arguments, context in
            let input = JSONValue.object(arguments).serialized() + [UInt8(ascii: "\n")]
            return try await DedicatedThread.run(named: task.name) { try run(input: input, context: context) }
        }
    }

    private func run(input: [UInt8], context: TaskContext) throws -> JSONValue {
        let process: ChildProcess
        do {
            process = try ChildProcess(
                command: task.command, directory: task.directory, environment: environment(context))
        } catch {
            throw TaskFailure(
                "\(error.description); correct worker.tasks.\(task.name) where the worker runs", isRetryable: false)
        }
        var transcript = ExecTranscript()
        let exit = process.run(input: input, killDelay: Self.killDelay) {
            context.isStopped
        } isWarned: {
            context.isOverSoftLimit
        } onOutput: { bytes in
            for (progress, message) in transcript.output(bytes) {
                // That the attempt is to end is looked for in between anyway.
                try? context.report(progress, message: message)
            }
        } onError: { bytes in
            for line in transcript.error(bytes) { log(line, context) }
        }
        if let line = transcript.finish() { log(line, context) }
        if transcript.garbageLines > 0 {
            Counter(label: "apus_task_garbage_lines_total", dimensions: [("task", task.name)])
                .increment(by: transcript.garbageLines)
            context.logger.warning(
                "lines of a program's output were not understood",
                metadata: ["task.garbage_lines": "\(transcript.garbageLines)"])
        }
        try context.checkStopped()
        switch transcript.outcome(exit) {
        case .completed(let result): return result
        case .failedForGood(let message): throw TaskFailure(message, isRetryable: false)
        case .failed(let message):
            // A program that does not handle the notice dies of it.
            if exit == .signal(SIGTERM), let limit = context.softLimit { throw SoftTimeLimitExceeded(limit: limit) }
            throw TaskFailure(message)
        case .timedOut, .handedBack: throw TaskStopped()
        }
    }

    private func log(_ line: String, _ context: TaskContext) {
        context.logger.info("task's standard error", metadata: ["task.line": "\(line)"])
    }

    /// The worker's own environment without its settings, some of which are secrets, and what the task is told.
    private func environment(_ context: TaskContext) -> [String: String] {
        var variables = ChildProcess.inheritedEnvironment.filter { !$0.key.hasPrefix("APUS_") }
        variables.merge(task.environment) { $1 }
        variables["APUS_TASK_ID"] = context.id.description
        variables["APUS_ATTEMPT"] = String(context.attempt)
        variables["APUS_USER"] = context.user ?? ""
        return variables
    }
}
