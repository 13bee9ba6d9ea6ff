/// A task written in Swift.
///
/// ```swift
/// struct Resize: WorkerTask {
///     static let name = "image.resize"
///     struct Arguments: Codable { var path: String }
///     func run(_ arguments: Arguments, context: TaskContext) async throws -> [Int] {
///         try await context.progress(50, message: "half way")
///         return [640, 480]
///     }
/// }
/// ```
///
/// It may run more than once, since a worker can be lost at any moment: what it does must bear that. A thrown error
/// fails the attempt, which is tried again while attempts are left; ``TaskFailure`` can say that it is not worth it.
public protocol WorkerTask: Sendable {
    /// What the request's `args` are decoded to. Arguments that do not fit fail the task for good.
    associatedtype Arguments: Decodable & Sendable
    /// At most 512 KiB as JSON.
    associatedtype Result: Encodable & Sendable

    /// How requests call it: 1 to 128 letters, digits, `_`, `-` and single dots.
    static var name: String { get }
    /// How many attempts there are unless the request says otherwise.
    static var maximumAttempts: Int { get }
    /// How long one attempt may take unless the request says otherwise; nil is as long as it likes.
    static var timeout: Duration? { get }
    /// After how long an attempt is told to come to its end, unless the request says otherwise; nil is never.
    static var softTimeout: Duration? { get }
    static var retry: RetryPolicy { get }

    func run(_ arguments: Arguments, context: TaskContext) async throws -> Result
}

extension WorkerTask {
    public static var maximumAttempts: Int { 3 }
    public static var timeout: Duration? { nil }
    public static var softTimeout: Duration? { nil }
    public static var retry: RetryPolicy { RetryPolicy() }
}

/// The arguments of a task that needs none: any object will do.
public struct NoArguments: Codable, Sendable, Hashable {
    public init() {}
}

/// The result of a task that has none: null.
public struct NoResult: Codable, Sendable, Hashable {
    public init() {}

    public init(from decoder: any Decoder) throws {}

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encodeNil()
    }
}
