internal import Events
package import JSON
package import Tasks

/// A task that is a program of its own: how `worker.tasks.<name>` in the configuration describes it.
///
/// ```yaml
/// thumbnail:
///   command: ["python3", "thumbnail.py"]
///   queue: default          # only documents where it is meant to be submitted
///   timeout: 30s
///   soft_timeout: 25s       # SIGTERM by then, so that it can end by itself
///   max_attempts: 3
///   directory: /srv/media   # where it runs; the worker's own folder by default
///   environment: { QUALITY: "80" }
///   retry: { base: 2s, maximum: 10m }
/// ```
package struct ExecTaskDefinition: Sendable, Hashable {
    package var name: String
    /// The program and its arguments; no shell looks at them.
    package var command: [String]
    package var queue: String
    package var timeout: Duration?
    package var softTimeout: Duration?
    package var maximumAttempts: Int
    package var directory: String?
    package var environment: [String: String]
    package var retry: RetryPolicy

    package init(
        name: String, command: [String], queue: String = TaskRequest.defaultQueue, timeout: Duration? = nil,
        softTimeout: Duration? = nil, maximumAttempts: Int = 3, directory: String? = nil,
        environment: [String: String] = [:],
        retry: RetryPolicy = RetryPolicy()
    ) {
        self.name = name
        self.command = command
        self.queue = queue
        self.timeout = timeout
        self.softTimeout = softTimeout
        self.maximumAttempts = maximumAttempts
        self.directory = directory
        self.environment = environment
        self.retry = retry
    }

    /// Reads what stands under `worker.tasks.<name>`.
    /// - Parameter report: is told of every problem, with the key below `worker.tasks.<name>` (empty: the whole).
    /// - Returns: nil if there was a problem.
    package init?(name: String, json: JSONValue, report: (_ key: String, _ problem: String) -> Void) {
        guard let members = json.objectValue else {
            report("", "must be a mapping with at least `command`, not \(json.kindDescription)")
            return nil
        }
        var isValid = true
        func problem(_ key: String, _ problem: String) {
            isValid = false
            report(key, problem)
        }
        self.init(name: name, command: [])
        if !TaskRequest.isName(name) {
            problem("", "a task's name has 1 to 128 letters, digits, _, - and single dots")
        }
        for (key, value) in members {
            switch key {
            case "command":
                let words = value.arrayValue?.map(\.stringValue)
                if let words, !words.isEmpty, words.allSatisfy({ $0.map(ExecTaskDefinition.isWord) ?? false }),
                    words.first != ""
                {
                    command = words.compactMap(\.self)
                } else {
                    problem(key, "must be a list of strings, the program first: [\"python3\", \"thumbnail.py\"]")
                }
            case "queue":
                if let queue = value.stringValue, TaskRequest.isQueue(queue) {
                    self.queue = queue
                } else {
                    problem(key, "must be 1 to 64 letters, digits, _ and -")
                }
            case "timeout", "soft_timeout":
                if let limit = ExecTaskDefinition.duration(value), limit <= TaskRequest.timeoutLimit {
                    if key == "timeout" { timeout = limit } else { softTimeout = limit }
                } else {
                    problem(key, "must be a time such as 30s or 5m, at most 30d")
                }
            case "max_attempts":
                if let count = value.integerValue, (1...Int64(TaskRequest.maximumAttemptsLimit)).contains(count) {
                    maximumAttempts = Int(count)
                } else {
                    problem(key, "must be a whole number from 1 to \(TaskRequest.maximumAttemptsLimit)")
                }
            case "directory":
                if let path = value.stringValue, !path.isEmpty, ExecTaskDefinition.isWord(path) {
                    directory = path
                } else {
                    problem(key, "must be the path of a folder")
                }
            case "environment":
                guard let variables = value.objectValue else {
                    problem(key, "must be a mapping of names to texts")
                    continue
                }
                for (variable, text) in variables {
                    guard let text = text.stringValue ?? ExecTaskDefinition.plainText(text),
                        ExecTaskDefinition.isWord(text), ExecTaskDefinition.isWord(variable), !variable.isEmpty,
                        !variable.utf8.contains(UInt8(ascii: "="))
                    else {
                        problem("\(key).\(variable)", "must be a text; write it in quotes")
                        continue
                    }
                    environment[variable] = text
                }
            case "retry":
                if let base = ExecTaskDefinition.duration(value["base"] ?? "2s"),
                    let maximum = ExecTaskDefinition.duration(value["maximum"] ?? value["max"] ?? "10m"),
                    value.objectValue != nil
                {
                    retry = RetryPolicy(base: base, maximum: maximum)
                } else {
                    problem(key, "must be a mapping of times: { base: 2s, maximum: 10m }")
                }
            default:
                problem(
                    key,
                    "is not known; there are command, queue, timeout, soft_timeout, max_attempts, directory, "
                        + "environment and retry")
            }
        }
        if members["command"] == nil { problem("command", "is missing: it says which program to run") }
        if let timeout, let softTimeout, softTimeout >= timeout {
            problem("soft_timeout", "must be shorter than timeout, which ends the attempt in any case")
        }
        guard isValid else { return nil }
    }

    /// What can be handed to another program: no NUL in it.
    private static func isWord(_ text: String) -> Bool { !text.utf8.contains(0) }

    private static func duration(_ value: JSONValue) -> Duration? {
        let duration: Duration?
        switch value {
        case .string(let text): duration = DurationText.parse(text)
        case .integer(let seconds): duration = DurationText.parse(String(seconds))
        default: duration = nil
        }
        return duration.flatMap { $0 > .zero ? $0 : nil }
    }

    /// What YAML reads as a number or a boolean but was meant as text.
    private static func plainText(_ value: JSONValue) -> String? {
        switch value {
        case .integer, .double, .bool: value.description
        default: nil
        }
    }
}
