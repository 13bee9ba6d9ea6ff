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
    /// How many tasks run at once over all queues; nil is as many as the queues say.
    package var concurrency: Int?
    /// Which queues go first where the whole worker is limited: higher before lower, 0 unless it is said.
    package var priorities: [String: Int] = [:]
    /// How many tasks a queue takes, for those that are bounded.
    package var bounds: [String: Int] = [:]
    /// What is allowed to the tasks of a name.
    package var limits: [String: TaskLimit] = [:]
    /// The tasks that are programs of their own.
    package var tasks: [ExecTaskDefinition]
    /// The tasks that are submitted again and again.
    package var schedules: [ScheduleDefinition] = []
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
            "the queues served and how many of each one's tasks run at once, { default: 8 } unless set; or "
                + "{ default: { concurrency: 8, priority: 10, limit: 100000 } }"),
        SettingDefinition(
            "worker.concurrency", .integer,
            "how many tasks run at once over all queues, those of queues with a higher priority first; as many as the "
                + "queues say unless set"),
        SettingDefinition(
            "worker.limits", .structure,
            "what is allowed to the tasks of a name: { mail.send: { concurrency: 2, rate: 10/s } }, the rate over all "
                + "workers"),
        SettingDefinition(
            "worker.tasks", .structure,
            "programs to run as tasks: { thumbnail: { command: [\"python3\", \"thumbnail.py\"], timeout: 30s } }"),
        SettingDefinition(
            "worker.schedules", .structure,
            "tasks to submit again and again: { nightly: { cron: \"0 3 * * *\", timezone: Europe/Berlin, task: report } }"
        ),
        SettingDefinition(
            "worker.dataset.root", .string,
            "the only folder that dataset.summarize may read from; without it, any file that the worker can read"),
    ]

    package static let makesManyRequests = true

    package static let concurrencyRange = 1...1000
    /// How many tasks of a queue run at once that does not say.
    private static let defaultPlaces = 8

    package init(from settings: inout SettingsReader) {
        self.init()
        lease = settings.duration("worker.lease") ?? lease
        if !(.seconds(1) ... .seconds(3600)).contains(lease) {
            settings.report("worker.lease", "must be from 1s to 1h")
        }
        datasetRoot = settings.string("worker.dataset.root")
        concurrency = settings.integer("worker.concurrency").map { Int(clamping: $0) }
        if let concurrency, !WorkerConfiguration.concurrencyRange.contains(concurrency) {
            settings.report("worker.concurrency", "must be how many tasks run at once, from 1 to 1000")
        }
        readQueues(&settings)
        readLimits(&settings)
        readTasks(&settings)
        readSchedules(&settings)
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
            } else if let members = count.objectValue {
                queues[name] = WorkerConfiguration.defaultPlaces
                for (key, value) in members { readQueue(name, key, value, &settings) }
            } else {
                readQueue(name, "", count, &settings)
            }
        }
    }

    private mutating func readQueue(
        _ name: String, _ key: String, _ value: JSONValue, _ settings: inout SettingsReader
    ) {
        let number = value.integerValue.flatMap(Int.init(exactly:))
        let path = "worker.queues.\(name)\(key.isEmpty ? "" : ".\(key)")"
        switch (key, number) {
        case ("", let number?) where WorkerConfiguration.concurrencyRange.contains(number),
            ("concurrency", let number?) where WorkerConfiguration.concurrencyRange.contains(number):
            queues[name] = number
        case ("", _), ("concurrency", _): settings.report(path, "must be how many tasks run at once, from 1 to 1000")
        case ("priority", let number?) where (-1000...1000).contains(number): priorities[name] = number
        case ("priority", _): settings.report(path, "must be a whole number from -1000 to 1000; higher goes first")
        case ("limit", let number?) where number > 0: bounds[name] = number
        case ("limit", _): settings.report(path, "must be how many tasks the queue takes, from 1")
        default: settings.report(path, "is not known; there are concurrency, priority and limit")
        }
    }

    private mutating func readLimits(_ settings: inout SettingsReader) {
        guard let value = settings.structure("worker.limits") else { return }
        guard let members = value.objectValue else {
            settings.report("worker.limits", "must be a mapping of tasks' names to limits")
            return
        }
        for (name, limit) in members {
            if !TaskRequest.isName(name) {
                settings.report(
                    "worker.limits.\(name)", "a task's name has 1 to 128 letters, digits, _, - and single dots")
            }
            limits[name] = TaskLimit(json: limit) { key, problem in
                settings.report("worker.limits.\(name)\(key.isEmpty ? "" : ".\(key)")", problem)
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

    private mutating func readSchedules(_ settings: inout SettingsReader) {
        guard let value = settings.structure("worker.schedules") else { return }
        guard let members = value.objectValue else {
            settings.report("worker.schedules", "must be a mapping of names to schedules")
            return
        }
        for (name, schedule) in members {
            var problems: [(key: String, problem: String)] = []
            let definition = ScheduleDefinition(name: name, json: schedule) { problems.append(($0, $1)) }
            for (key, problem) in problems {
                settings.report("worker.schedules.\(name)\(key.isEmpty ? "" : ".\(key)")", problem)
            }
            if let definition { schedules.append(definition) }
        }
    }
}
