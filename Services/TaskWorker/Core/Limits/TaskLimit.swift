package import JSON

/// What `worker.limits.<name>` allows the tasks of one name.
package struct TaskLimit: Sendable, Hashable {
    /// How many run at once in this worker; nil is as many as there are places.
    package var concurrency: Int?
    /// How many begin in a time, over all workers; nil is any number.
    package var rate: TaskRate?

    package init(concurrency: Int? = nil, rate: TaskRate? = nil) {
        self.concurrency = concurrency
        self.rate = rate
    }

    /// - Parameter report: is told of every problem, with the key below `worker.limits.<name>` (empty: the whole).
    package init(json: JSONValue, report: (_ key: String, _ problem: String) -> Void) {
        self.init()
        guard let members = json.objectValue else {
            report("", "must be a mapping, such as { concurrency: 2, rate: 10/s }")
            return
        }
        for (key, value) in members {
            switch key {
            case "concurrency":
                if let count = value.integerValue, (1...1000).contains(count) {
                    concurrency = Int(count)
                } else {
                    report(key, "must be how many run at once in this worker, from 1 to 1000")
                }
            case "rate":
                rate = value.stringValue.flatMap(TaskRate.init)
                if rate == nil { report(key, "must be a number per s, m or h, such as 10/s or 100/m, at most 10000/s") }
            default: report(key, "is not known; there are concurrency and rate")
            }
        }
    }
}

/// How often tasks may begin: evenly spaced, so many per second, minute or hour.
package struct TaskRate: Sendable, Hashable, CustomStringConvertible {
    package let description: String
    /// Between two beginnings.
    package let interval: Duration

    /// Reads `10/s`, `100/m` or `5/h`.
    /// - Returns: nil for anything else, and for more than 10,000 per second.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let count = Int64(parts[0]), count > 0 else { return nil }
        let unit: Duration
        switch parts[1] {
        case "s": unit = .seconds(1)
        case "m": unit = .seconds(60)
        case "h": unit = .seconds(3600)
        default: return nil
        }
        interval = unit / Double(count)
        guard interval >= .microseconds(100) else { return nil }
        description = text
    }
}
