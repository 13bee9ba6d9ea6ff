internal import EventBus
internal import Events
internal import JSON
internal import TaskWorkerCore
package import Tasks

/// The tasks that come with the worker. One of your own takes one line here.
package enum BuiltInTasks {
    package static let names = ["apus.noop", SummarizeDataset.name]

    package static func all(_ configuration: WorkerConfiguration) -> [TaskDefinition] {
        [
            measured,
            SummarizeDataset(root: configuration.datasetRoot).definition,
        ] + configuration.tasks.map { ExecTask($0).definition }
    }

    /// Does nothing, for measuring what a task costs; with `{"reports": n}` it reports progress so often, and says
    /// between which moments, in seconds since 1970.
    private static var measured: TaskDefinition {
        TaskDefinition(name: "apus.noop") { arguments, context in
            guard let reports = arguments["reports"]?.integerValue, reports > 0 else { return nil }
            let clock = SystemBusClock()
            func seconds() -> JSONValue { .double(Double(clock.now.nanoseconds) / 1e9) }
            let begun = seconds()
            for number in 1...min(reports, 100_000_000) {
                try await context.progress(Double(number) / Double(reports) * 100)
            }
            return ["begun": begun, "ended": seconds()]
        }
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
