import EventBus
import Events
import JSON
import TaskWorkerApp
import TestKit

/// A task of user 42 whose end was recorded by a worker that died then: nobody was told, and the queue got no answer.
struct UntoldTask {
    let id: TaskID
    let task: TaskDefinition
    /// Sent each time that its work begins.
    let begun: Signal
}

extension WorkerBench {
    func endUntold() async throws -> UntoldTask {
        let dying = bus.anotherConnection()
        let (begun, release) = (Signal(), Signal())
        let task = TaskDefinition(name: "task") { _, _ in
            begun.send()
            await release.wait()
            dying.inject(.fails(BusError(.closed, "the process has died")), into: .append, times: 100)
            return "done"
        }
        let id = try await withWorker([task], on: dying) { _ in
            let id = try await submit(TaskRequest(name: "task", user: "42"))
            await begun.wait()
            release.send()
            while try await status(id).state != .completed { try await Task.sleep(for: .milliseconds(2)) }
            return id
        }
        return UntoldTask(id: id, task: task, begun: begun)
    }
}
