package import EventBus
package import ServiceKit
package import ServiceLifecycle
package import Tasks

/// Makes the worker, as `apus-worker` runs it.
package func buildWorker(
    _ configuration: WorkerConfiguration, _ context: ServiceContext
) async throws -> [any Service] {
    buildWorker(configuration, context, tasks: BuiltInTasks.all(configuration))
}

/// As ``buildWorker(_:_:)``, with other tasks, time and randomness (0 to 1).
package func buildWorker(
    _ configuration: WorkerConfiguration, _ context: ServiceContext, tasks: [TaskDefinition],
    clock: any BusClock = SystemBusClock(), random: @escaping @Sendable () -> Double = { .random(in: 0...1) }
) -> [any Service] {
    context.readiness.set("streams", false)
    return [
        Worker(
            configuration: configuration, context: context, tasks: TaskRegistry(tasks), clock: clock, random: random)
    ]
}
