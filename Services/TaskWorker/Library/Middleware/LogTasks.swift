public import JSON
public import Logging
public import Tasks

/// Logs when an attempt begins and how it ended, with how long it took. Never its arguments or result, which may be
/// nobody else's business.
public struct LogTasks: TaskMiddleware {
    /// For beginnings and good ends. What failed is a warning.
    public let level: Logger.Level

    public init(level: Logger.Level = .info) { self.level = level }

    public func run(_ arguments: JSONObject, context: TaskContext, next: Next) async throws -> JSONValue {
        let begun = ContinuousClock.now
        var elapsed: Logger.Metadata { ["task.seconds": "\(begun.duration(to: .now).inSeconds)"] }
        context.logger.log(level: level, "an attempt begins")
        do {
            let result = try await next(arguments, context)
            context.logger.log(level: level, "an attempt has succeeded", metadata: elapsed)
            return result
        } catch {
            if context.isStopped {
                context.logger.log(level: level, "an attempt was stopped", metadata: elapsed)
            } else {
                context.logger.warning(
                    "an attempt has failed", metadata: elapsed.merging(["error": "\(error)"]) { $1 })
            }
            throw error
        }
    }
}

extension Duration {
    var inSeconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds / 1_000_000_000_000) / 1_000_000
    }
}
