public import JSON
internal import Metrics
public import Tasks

/// Times every attempt under a name of one's own, with the dimensions `task` and `outcome` (`completed`, `failed`,
/// `stopped`) and those given. The worker counts by itself already; this is for series that its makers name.
public struct TimeTasks: TaskMiddleware {
    public let label: String
    public let dimensions: [(String, String)]

    /// - Parameter label: ends in `_seconds`, as Prometheus has it.
    public init(label: String, dimensions: [(String, String)] = []) {
        self.label = label
        self.dimensions = dimensions
    }

    public func run(_ arguments: JSONObject, context: TaskContext, next: Next) async throws -> JSONValue {
        let begun = ContinuousClock.now
        do {
            let result = try await next(arguments, context)
            record(context, "completed", since: begun)
            return result
        } catch {
            record(context, context.isStopped ? "stopped" : "failed", since: begun)
            throw error
        }
    }

    private func record(_ context: TaskContext, _ outcome: String, since begun: ContinuousClock.Instant) {
        Timer(label: label, dimensions: [("task", context.name), ("outcome", outcome)] + dimensions)
            .recordNanoseconds(Int64(begun.duration(to: .now).inSeconds * 1e9))
    }
}
