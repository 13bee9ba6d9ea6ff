package import Logging
internal import Metrics
package import ServiceKit
internal import Synchronization

/// Tells how a source and its tables are: in the log when it changes, on `/ready`, and as a metric.
package final class SourceStatus: Sendable {
    private let schema: String
    private let logger: Logger
    private let readiness: Readiness
    /// By name; nil is that it holds.
    private let conditions = Mutex<[String: SourceError?]>([:])

    package init(schema: String, logger: Logger, readiness: Readiness) {
        self.schema = schema
        self.logger = logger
        self.readiness = readiness
        readiness.set("source \(schema)", false)
    }

    /// The source itself: nil is that it is followed.
    package func source(_ problem: SourceError?) { set("source \(schema)", problem) }

    package func table(_ name: String, _ problem: SourceError?) { set("table \(schema).\(name)", problem) }

    /// How far it is published can't be saved. Publishing goes on.
    package func position(_ problem: SourceError?) { set("position of source \(schema)", problem, isRequired: false) }

    /// What is wrong now, by condition: `source main`, `table main.posts`.
    package var problems: [String: SourceError] { conditions.withLock { $0.compactMapValues(\.self) } }

    private func set(_ condition: String, _ problem: SourceError?, isRequired: Bool = true) {
        let before = conditions.withLock { $0.updateValue(problem, forKey: condition) }
        guard before != .some(problem) else { return }
        if isRequired {
            readiness.set(condition, problem == nil)
            Gauge(label: "apus_livesync_up", dimensions: [("condition", condition)]).record(problem == nil ? 1 : 0)
        }
        guard let problem else {
            if before != nil { logger.info("the problem is over", metadata: ["condition": "\(condition)"]) }
            return
        }
        logger.warning(
            "a database or table cannot be followed; trying again",
            metadata: ["condition": "\(condition)", "code": "\(problem.code)", "reason": "\(problem)"])
        Counter(
            label: "apus_livesync_problems_total", dimensions: [("source", schema), ("code", problem.code.rawValue)]
        ).increment()
    }
}
