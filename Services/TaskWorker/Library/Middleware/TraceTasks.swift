internal import Events
public import JSON
public import Tasks
internal import Tracing

/// Makes a span of every attempt, in the trace with which the task was submitted (`traceparent`), for whatever tracer the
/// program has bootstrapped. Spans that the task makes are inside it.
public struct TraceTasks: TaskMiddleware {
    public init() {}

    public func run(_ arguments: JSONObject, context: TaskContext, next: Next) async throws -> JSONValue {
        var parent = ServiceContext.current ?? .topLevel
        InstrumentationSystem.instrument.extract(context.trace, into: &parent, using: HeaderExtractor())
        // The template, not one span name per id: names are what traces are grouped by.
        return try await withSpan("task \(context.name)", context: parent, ofKind: .consumer) { span in
            span.updateAttributes { attributes in
                attributes["messaging.system"] = "nats"
                attributes["messaging.operation.type"] = "process"
                attributes["apus.task.id"] = context.id.description
                attributes["apus.task.name"] = context.name
                attributes["apus.task.attempt"] = context.attempt
            }
            return try await next(arguments, context)
        }
    }

    private struct HeaderExtractor: Extractor {
        func extract(key: String, from headers: [String: String]) -> String? { headers[key.lowercased()] }
    }
}
