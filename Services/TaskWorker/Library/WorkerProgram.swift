public import ServiceKit
internal import ServiceLifecycle
internal import TaskWorkerApp
internal import Tasks

/// A worker of one's own as a program: settings, `--help`, logs, metrics, `/health` and `/ready`, the bus, drain.
///
/// ```swift
/// @main struct Main {
///     static func main() async {
///         await WorkerProgram(name: "image-worker", summary: "makes images smaller") { worker in
///             worker.register(Resize())
///         }.main()
///     }
/// }
/// ```
///
/// It does all that `apus-worker` does, with the same settings and the tasks that come with it and that
/// `worker.tasks` names, and its own tasks besides: run it in place of `apus-worker`, or beside it with a queue of its
/// own (``WorkerTasks/serve(queue:atOnce:)``). A task of one's own beats another of the same name.
public struct WorkerProgram<Settings: ServiceConfiguration>: Sendable {
    private let program: ServiceProgram<WorkerSettings<Settings>>

    /// - Parameter tasks: registers the tasks. `context` has the bus, for tasks that publish or call. It must not wait
    ///   for the bus, which may be away at the start.
    public init(
        name: String, summary: String,
        tasks:
            @escaping @Sendable (
                _ worker: inout WorkerTasks, _ settings: Settings, _ context: ServiceContext
            ) async throws -> Void
    ) {
        program = ServiceProgram(name: name, summary: summary) { configuration, context in
            var worker = WorkerTasks()
            try await tasks(&worker, configuration.own, context)
            return try worker.services(configuration.worker, context)
        }
    }

    /// Runs the program with the process's arguments and environment, and ends the process.
    public func main() async -> Never { await program.main() }
}

extension WorkerProgram where Settings == NoSettings {
    /// A worker without settings of its own.
    public init(
        name: String, summary: String, tasks: @escaping @Sendable (_ worker: inout WorkerTasks) throws -> Void
    ) {
        self.init(name: name, summary: summary) { worker, _, _ in try tasks(&worker) }
    }
}

/// No settings beyond those that every worker has.
public struct NoSettings: ServiceConfiguration {
    public static let definitions: [SettingDefinition] = []

    public init(from settings: inout SettingsReader) {}
}

/// A worker's settings and those of its tasks.
struct WorkerSettings<Own: ServiceConfiguration>: ServiceConfiguration {
    static var definitions: [SettingDefinition] { WorkerConfiguration.definitions + Own.definitions }
    static var metrics: [String: String] { WorkerConfiguration.metrics.merging(Own.metrics) { $1 } }

    let worker: WorkerConfiguration
    let own: Own

    init(from settings: inout SettingsReader) {
        worker = WorkerConfiguration(from: &settings)
        own = Own(from: &settings)
    }
}

extension WorkerTasks {
    /// The parts of a worker that runs these tasks.
    func services(_ configuration: WorkerConfiguration, _ context: ServiceContext) throws -> [any Service] {
        try check()
        var configuration = configuration
        if !queues.isEmpty { configuration.queues = queues }
        return buildWorker(configuration, context, tasks: all(over: BuiltInTasks.all(configuration)))
    }
}
