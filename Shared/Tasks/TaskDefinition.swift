internal import Foundation
public import JSON

/// What the worker knows of a task: its name, its limits and how to run it.
public struct TaskDefinition: Sendable {
    public typealias Body = @Sendable (_ arguments: JSONObject, _ context: TaskContext) async throws -> JSONValue

    public var name: String
    /// How many attempts there are unless the request says otherwise.
    public var maximumAttempts: Int
    /// How long one attempt may take unless the request says otherwise; nil is as long as it likes.
    public var timeout: Duration?
    /// After how long an attempt is told to come to its end, unless the request says otherwise; nil is never.
    public var softTimeout: Duration?
    public var retry: RetryPolicy
    public var run: Body

    public init(
        name: String, maximumAttempts: Int = 3, timeout: Duration? = nil, softTimeout: Duration? = nil,
        retry: RetryPolicy = RetryPolicy(), run: @escaping Body
    ) {
        self.name = name
        self.maximumAttempts = maximumAttempts
        self.timeout = timeout
        self.softTimeout = softTimeout
        self.retry = retry
        self.run = run
    }

    /// A task whose arguments and result are Swift types.
    public init<Task: WorkerTask>(_ task: Task) {
        self.init(
            name: Task.name, maximumAttempts: Task.maximumAttempts, timeout: Task.timeout,
            softTimeout: Task.softTimeout, retry: Task.retry
        ) { (arguments: Task.Arguments, context) in try await task.run(arguments, context: context) }
    }

    /// A function whose arguments and result are Swift types.
    public init<Arguments: Decodable & Sendable, Result: Encodable & Sendable>(
        name: String, maximumAttempts: Int = 3, timeout: Duration? = nil, softTimeout: Duration? = nil,
        retry: RetryPolicy = RetryPolicy(),
        _ body: @escaping @Sendable (_ arguments: Arguments, _ context: TaskContext) async throws -> Result
    ) {
        let run: Body = { json, context in
            let arguments: Arguments
            do {
                arguments = try JSONDecoder().decode(
                    Arguments.self, from: Data(JSONValue.object(json).serialized()))
            } catch let error as DecodingError {
                throw TaskFailure("the arguments do not fit: \(error.explanation)", isRetryable: false)
            }
            let result = try await body(arguments, context)
            do {
                return try JSONValue(parsing: JSONEncoder().encode(result))
            } catch let error as EncodingError {
                throw TaskFailure(
                    "the task is done, but its result is no JSON: \(error.explanation)", isRetryable: false)
            }
        }
        self.init(
            name: name, maximumAttempts: maximumAttempts, timeout: timeout, softTimeout: softTimeout, retry: retry,
            run: run)
    }

    /// The same task with `middleware` around it, the first outermost.
    public func wrapped(in middleware: [any TaskMiddleware]) -> TaskDefinition {
        var definition = self
        definition.run = middleware.reversed().reduce(run) { inner, outer in
            { arguments, context in
                try await outer.run(arguments, context: context, next: inner)
            }
        }
        return definition
    }
}

extension DecodingError {
    /// Which argument is wrong and how, without its value.
    fileprivate var explanation: String {
        switch self {
        case .keyNotFound(let key, let context): "\((context.codingPath + [key]).place) is missing"
        case .valueNotFound(let type, let context): "\(context.codingPath.place) must be of type \(type), not null"
        case .typeMismatch(let type, let context): "\(context.codingPath.place) must be of type \(type)"
        case .dataCorrupted(let context): "\(context.codingPath.place) is not valid"
        @unknown default: "they are not valid"
        }
    }
}

extension EncodingError {
    /// Where what cannot be written stands, without its value.
    fileprivate var explanation: String {
        switch self {
        case .invalidValue(let value, let context):
            context.codingPath.isEmpty
                ? "a \(type(of: value)) cannot be written"
                : "\(context.codingPath.place), a \(type(of: value)), cannot be written"
        @unknown default: "it cannot be written"
        }
    }
}

extension [any CodingKey] {
    fileprivate var place: String { isEmpty ? "args" : map(\.stringValue).joined(separator: ".") }
}
