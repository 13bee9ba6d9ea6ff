internal import Events
internal import JSON
package import ServiceKit
package import TaskWorkerCore

/// What `apus-worker` can be told.
package struct WorkerConfiguration: ServiceConfiguration {
    /// How long a silent worker keeps its tasks: what is not heard of for so long is taken over by another.
    package var lease: Duration
    /// The queues that this process serves, each with how many of its tasks run at once.
    package var queues: [String: Int]
    /// The tasks that are programs of their own.
    package var tasks: [ExecTaskDefinition]
    /// The only folder that `dataset.summarize` reads from; nil is anywhere the process may.
    package var datasetRoot: String?

    package init(
        lease: Duration = .seconds(10), queues: [String: Int] = [TaskRequest.defaultQueue: 8],
        tasks: [ExecTaskDefinition] = [], datasetRoot: String? = nil
    ) {
        self.lease = lease
        self.queues = queues
        self.tasks = tasks
        self.datasetRoot = datasetRoot
    }

    package static let definitions = [
        SettingDefinition(
            "worker.lease", .duration, default: "10s",
            "how long a task whose worker has fallen silent waits to be taken over, 1s to 1h; the same for all workers"),
        SettingDefinition(
            "worker.queues", .structure,
            "the queues served and how many of each one's tasks run at once, { default: 8 } unless set"),
        SettingDefinition(
            "worker.tasks", .structure,
            "programs to run as tasks: { thumbnail: { command: [\"python3\", \"thumbnail.py\"], timeout: 30s } }"),
        SettingDefinition(
            "worker.dataset.root", .string,
            "the only folder that dataset.summarize may read from; without it, any file that the worker can read"),
    ]

    package static let concurrencyRange = 1...1000

    package init(from settings: inout SettingsReader) {
        self.init()
        lease = settings.duration("worker.lease") ?? lease
        if !(.seconds(1) ... .seconds(3600)).contains(lease) {
            settings.report("worker.lease", "must be from 1s to 1h")
        }
        datasetRoot = settings.string("worker.dataset.root")
        readQueues(&settings)
        readTasks(&settings)
    }

    private mutating func readQueues(_ settings: inout SettingsReader) {
        guard let value = settings.structure("worker.queues") else { return }
        guard let members = value.objectValue, !members.isEmpty else {
            settings.report("worker.queues", "must be a mapping of queues to numbers, such as { default: 8 }")
            return
        }
        queues = [:]
        for (name, count) in members {
            if !TaskRequest.isQueue(name) {
                settings.report("worker.queues.\(name)", "a queue's name has 1 to 64 letters, digits, _ and -")
            } else if let number = count.integerValue.flatMap(Int.init(exactly:)),
                WorkerConfiguration.concurrencyRange.contains(number)
            {
                queues[name] = number
            } else {
                settings.report("worker.queues.\(name)", "must be how many tasks run at once, from 1 to 1000")
            }
        }
    }

    private mutating func readTasks(_ settings: inout SettingsReader) {
        guard let value = settings.structure("worker.tasks") else { return }
        guard let members = value.objectValue else {
            settings.report("worker.tasks", "must be a mapping of names to tasks")
            return
        }
        for (name, task) in members {
            if BuiltInTasks.names.contains(name) {
                settings.report(
                    "worker.tasks.\(name)", "is the name of a task that comes with the worker; choose another")
                continue
            }
            var problems: [(key: String, problem: String)] = []
            let definition = ExecTaskDefinition(name: name, json: task) { problems.append(($0, $1)) }
            for (key, problem) in problems {
                settings.report("worker.tasks.\(name)\(key.isEmpty ? "" : ".\(key)")", problem)
            }
            if let definition { tasks.append(definition) }
        }
    }
}
