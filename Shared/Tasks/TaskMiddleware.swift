public import JSON

/// What stands around every attempt of every task: logging, metrics, tracing, whatever all of them share.
///
/// ```swift
/// struct Tenant: TaskMiddleware {
///     func run(_ arguments: JSONObject, context: TaskContext, next: Next) async throws -> JSONValue {
///         var context = context
///         context.logger[metadataKey: "tenant"] = "\(arguments["tenant"]?.stringValue ?? "none")"
///         return try await next(arguments, context)
///     }
/// }
/// ```
///
/// It sees what the task is given and what comes of it, and may change both. What it throws fails the attempt as if the
/// task had thrown it; a ``TaskStopped`` or `CancellationError` that passes through is to go on its way, or a cancelled
/// task would not end.
public protocol TaskMiddleware: Sendable {
    /// The task, or the next middleware around it.
    typealias Next = @Sendable (_ arguments: JSONObject, _ context: TaskContext) async throws -> JSONValue

    /// Runs an attempt by calling `next`, as a rule once.
    func run(_ arguments: JSONObject, context: TaskContext, next: Next) async throws -> JSONValue
}
