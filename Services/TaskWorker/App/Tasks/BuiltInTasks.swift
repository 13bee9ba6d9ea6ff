internal import JSON
internal import TaskWorkerCore
package import Tasks

/// The tasks that come with the worker. One of your own takes one line here.
package enum BuiltInTasks {
    package static let names = ["apus.noop", SummarizeDataset.name]

    package static func all(_ configuration: WorkerConfiguration) -> [TaskDefinition] {
        [
            // Does nothing: for measuring what a task costs.
            TaskDefinition(name: "apus.noop") { _, _ in nil },
            SummarizeDataset(root: configuration.datasetRoot).definition,
        ] + configuration.tasks.map { ExecTask($0).definition }
    }
}

/// Which tasks there are, by name.
package struct TaskRegistry: Sendable {
    private let definitions: [String: TaskDefinition]

    /// The last of several of one name wins.
    package init(_ definitions: [TaskDefinition]) {
        self.definitions = Dictionary(definitions.map { ($0.name, $0) }, uniquingKeysWith: { $1 })
    }

    package subscript(name: String) -> TaskDefinition? { definitions[name] }

    package var names: [String] { definitions.keys.sorted() }
}
