internal import Events
public import Tasks

/// What a worker of one's own can do: its tasks, what stands around them, and which queues it serves.
///
/// ```swift
/// worker.use(LogTasks())
/// worker.register(Resize())
/// worker.serve(queue: "images", atOnce: 4)
/// ```
public struct WorkerTasks: Sendable {
    package private(set) var definitions: [TaskDefinition] = []
    package private(set) var middleware: [any TaskMiddleware] = []
    /// Empty: those of the configuration.
    package private(set) var queues: [String: Int] = [:]
    /// What was registered wrongly, each with what to do.
    package private(set) var problems: [String] = []

    package init() {}

    /// Adds a task.
    public mutating func register<Task: WorkerTask>(_ task: Task) { register(TaskDefinition(task)) }

    /// Adds a task that is a function.
    ///
    /// ```swift
    /// worker.register("math.double") { (arguments: Pair, context) in arguments.left * 2 }
    /// ```
    public mutating func register<Arguments: Decodable & Sendable, Result: Encodable & Sendable>(
        _ name: String, maximumAttempts: Int = 3, timeout: Duration? = nil, softTimeout: Duration? = nil,
        retry: RetryPolicy = RetryPolicy(),
        _ run: @escaping @Sendable (_ arguments: Arguments, _ context: TaskContext) async throws -> Result
    ) {
        register(
            TaskDefinition(
                name: name, maximumAttempts: maximumAttempts, timeout: timeout, softTimeout: softTimeout, retry: retry,
                run))
    }

    /// Adds a task that takes and gives JSON as it is.
    public mutating func register(_ definition: TaskDefinition) {
        let name = definition.name
        if !TaskRequest.isName(name) {
            problems.append("\"\(name)\" is no name of a task: 1 to 128 letters, digits, _, - and single dots")
        } else if definitions.contains(where: { $0.name == name }) {
            problems.append("two tasks are called \(name): give one of them another name")
        }
        let attempts = 1...TaskRequest.maximumAttemptsLimit
        if !attempts.contains(definition.maximumAttempts) {
            problems.append("\(name) has \(definition.maximumAttempts) attempts: \(attempts.upperBound) are the most")
        }
        definitions.append(definition)
    }

    /// Puts middleware around every task, whenever it is registered. What is added first is outermost.
    public mutating func use(_ middleware: any TaskMiddleware...) { self.middleware += middleware }

    /// Serves `queue`, and of the queues only those that are named so: `worker.queues` in the configuration then says
    /// nothing. A task that comes to a queue is for any worker that serves it, so a worker with tasks that others do
    /// not have needs a queue of its own.
    /// - Parameter atOnce: how many of its tasks run at the same time in this process, from 1 to 1000.
    public mutating func serve(queue: String, atOnce: Int) {
        if !TaskRequest.isQueue(queue) {
            problems.append("\"\(queue)\" is no name of a queue: 1 to 64 letters, digits, _ and -")
        }
        if !(1...1000).contains(atOnce) {
            problems.append("queue \(queue) has \(atOnce) tasks at once: 1 to 1000 are possible")
        }
        queues[queue] = atOnce
    }

    /// The tasks as they are run: with the middleware around them. Those of `others` that have a name of ours go.
    package func all(over others: [TaskDefinition]) -> [TaskDefinition] {
        let names = Set(definitions.map(\.name))
        return (others.filter { !names.contains($0.name) } + definitions).map { $0.wrapped(in: middleware) }
    }

    /// - Throws: ``WrongTasks`` with everything that is wrong.
    package func check() throws(WrongTasks) {
        if !problems.isEmpty { throw WrongTasks(problems: problems) }
    }
}

/// What was registered cannot be used.
public struct WrongTasks: Error, Sendable, Hashable, CustomStringConvertible {
    public let problems: [String]

    public var description: String { problems.joined(separator: "; ") }
}
