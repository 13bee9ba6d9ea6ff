package import Events
package import JSON

/// A task that is submitted again and again: `worker.schedules` of the configuration.
///
/// ```yaml
/// nightly: { cron: "0 3 * * *", timezone: Europe/Berlin, task: report.build, args: { kind: full }, missed: once }
/// ```
package struct ScheduleDefinition: Sendable {
    /// What becomes of firings at which no worker was there.
    package enum MissedPolicy: String, Sendable, Hashable, CaseIterable {
        /// They are left out.
        case skip
        /// However many they are, the task runs once for the newest.
        case once
        /// The task runs for each, up to ``limit`` of them.
        case all
    }

    /// The most missed firings that are made up for; with more, the newest.
    package static let limit = 1000

    package let name: String
    package let firings: CronFirings
    package let missed: MissedPolicy
    /// What is submitted, without an id.
    package let request: TaskRequest

    package init(name: String, firings: CronFirings, missed: MissedPolicy = .once, request: TaskRequest) {
        self.name = name
        self.firings = firings
        self.missed = missed
        self.request = request
    }

    /// Where its state is kept. A changed line or zone is another one, so that workers with the old and the new
    /// configuration do not take each other's firings for their own.
    package var key: String {
        let id = TaskID.derived(from: "\(firings.line)/\(firings.zone.name)", at: Timestamp(seconds: 0))
        return "\(name).\(id)"
    }

    /// The task of one firing: whoever makes it, and however often, it is the same one.
    package func task(at firing: Timestamp) -> TaskRequest {
        var task = request
        task.id = .derived(from: "schedule/\(name)", at: firing)
        if task.arguments["scheduled_at"] == nil { task.arguments["scheduled_at"] = .string(firing.description) }
        return task
    }
}

// MARK: - JSON

extension ScheduleDefinition {
    private static let ownMembers = ["cron", "timezone", "task", "missed"]
    private static let taskMembers = [
        "args", "queue", "user", "max_attempts", "timeout", "soft_timeout", "delay", "expires", "retry", "unique",
        "unique_policy", "chain",
    ]

    /// Reads a definition; each problem is reported with its key, and then there is none.
    package init?(name: String, json: JSONValue, report: (_ key: String, _ problem: String) -> Void) {
        guard TaskRequest.isQueue(name) else {
            report("", "a schedule's name has 1 to 64 letters, digits, _ and -")
            return nil
        }
        guard let members = json.objectValue else {
            report("", "must be a mapping with at least cron and task")
            return nil
        }
        for key in members.keys where !ScheduleDefinition.ownMembers.contains(key) {
            guard !ScheduleDefinition.taskMembers.contains(key) else { continue }
            let known = (ScheduleDefinition.ownMembers + ScheduleDefinition.taskMembers).joined(separator: ", ")
            report(key, "is not known; there are \(known)")
            return nil
        }
        guard let line = ScheduleDefinition.line(members, report), let zone = ScheduleDefinition.zone(members, report),
            let missed = ScheduleDefinition.missed(members, report),
            let request = ScheduleDefinition.request(members, report)
        else { return nil }
        self.init(name: name, firings: CronFirings(line, in: zone), missed: missed, request: request)
    }

    private static func line(_ members: JSONObject, _ report: (String, String) -> Void) -> CronLine? {
        guard let text = members["cron"]?.stringValue else {
            report("cron", "must be a cron line such as \"0 3 * * *\"")
            return nil
        }
        do throws(CronLine.Invalid) {
            return try CronLine(text)
        } catch {
            report("cron", error.description)
            return nil
        }
    }

    private static func zone(_ members: JSONObject, _ report: (String, String) -> Void) -> TimeZoneRules? {
        guard let value = members["timezone"] else { return .utc }
        guard let zone = value.stringValue.flatMap(TimeZoneRules.init(named:)) else {
            report("timezone", "must be the name of a time zone such as Europe/Berlin; without it, UTC")
            return nil
        }
        return zone
    }

    private static func missed(_ members: JSONObject, _ report: (String, String) -> Void) -> MissedPolicy? {
        guard let value = members["missed"] else { return .once }
        guard let policy = value.stringValue.flatMap(MissedPolicy.init) else {
            report("missed", "must be one of \(MissedPolicy.allCases.map(\.rawValue).joined(separator: ", "))")
            return nil
        }
        return policy
    }

    private static func request(_ members: JSONObject, _ report: (String, String) -> Void) -> TaskRequest? {
        var task = members
        for key in ownMembers { task[key] = nil }
        guard let name = members["task"] else {
            report("task", "is missing: it says which task to run")
            return nil
        }
        task["name"] = name
        do throws(TaskRequest.Invalid) {
            return try TaskRequest(json: .object(task))
        } catch {
            report(error.field == "name" ? "task" : error.field, error.problem)
            return nil
        }
    }
}
