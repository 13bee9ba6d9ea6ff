internal import Foundation
package import JSON
package import TaskWorkerCore

/// A task written in Swift.
///
/// ```swift
/// struct Resize: WorkerTask {
///     static let name = "image.resize"
///     struct Arguments: Decodable { var path: String }
///     func run(_ arguments: Arguments, _ context: TaskContext) async throws -> [Int] {
///         try await context.progress(50, message: "half way")
///         return [640, 480]
///     }
/// }
/// ```
///
/// It may run more than once, since a worker can be lost at any moment: what it does must bear that. A thrown error
/// fails the attempt, which is tried again while attempts are left; ``TaskFailure`` can say that it is not worth it.
package protocol WorkerTask: Sendable {
    associatedtype Arguments: Decodable & Sendable
    associatedtype Result: Encodable & Sendable

    static var name: String { get }
    /// How many attempts there are unless the request says otherwise.
    static var maximumAttempts: Int { get }
    /// How long one attempt may take unless the request says otherwise; nil is as long as it likes.
    static var timeout: Duration? { get }
    /// After how long an attempt is told to come to its end, unless the request says otherwise; nil is never.
    static var softTimeout: Duration? { get }
    static var retry: RetryPolicy { get }

    func run(_ arguments: Arguments, _ context: TaskContext) async throws -> Result
}

extension WorkerTask {
    package static var maximumAttempts: Int { 3 }
    package static var timeout: Duration? { nil }
    package static var softTimeout: Duration? { nil }
    package static var retry: RetryPolicy { RetryPolicy() }
}

/// An attempt's failure, with a message for the user.
package struct TaskFailure: Error, Sendable, Hashable, CustomStringConvertible {
    package let message: String
    /// Whether another attempt may go better.
    package let isRetryable: Bool

    package init(_ message: String, isRetryable: Bool = true) {
        self.message = message
        self.isRetryable = isRetryable
    }

    package var description: String { message }
}

/// What the worker knows of a task: its name, its limits and how to run it.
package struct TaskDefinition: Sendable {
    package typealias Body = @Sendable (_ arguments: JSONObject, _ context: TaskContext) async throws -> JSONValue

    package var name: String
    package var maximumAttempts: Int
    package var timeout: Duration?
    package var softTimeout: Duration?
    package var retry: RetryPolicy
    package var run: Body

    package init(
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
    package init<Task: WorkerTask>(_ task: Task) {
        self.init(
            name: Task.name, maximumAttempts: Task.maximumAttempts, timeout: Task.timeout,
            softTimeout: Task.softTimeout, retry: Task.retry
        ) { arguments, context in
            let decoded: Task.Arguments
            do {
                decoded = try JSONDecoder().decode(
                    Task.Arguments.self, from: Data(JSONValue.object(arguments).serialized()))
            } catch let error as DecodingError {
                throw TaskFailure("the arguments do not fit: \(error.explanation)", isRetryable: false)
            }
            let result = try await task.run(decoded, context)
            return try JSONValue(parsing: JSONEncoder().encode(result))
        }
    }
}

extension DecodingError {
    /// Which argument is wrong and how, without its value.
    fileprivate var explanation: String {
        func place(_ path: [any CodingKey]) -> String {
            path.isEmpty ? "args" : path.map(\.stringValue).joined(separator: ".")
        }
        return switch self {
        case .keyNotFound(let key, let context): "\(place(context.codingPath + [key])) is missing"
        case .valueNotFound(let type, let context): "\(place(context.codingPath)) must be of type \(type), not null"
        case .typeMismatch(let type, let context): "\(place(context.codingPath)) must be of type \(type)"
        case .dataCorrupted(let context): "\(place(context.codingPath)) is not valid"
        @unknown default: "they are not valid"
        }
    }
}
