public import JSON

extension TaskRequest {
    /// Reads a request.
    /// - Parameter address: the queue and name that the message's subject says, which the request must not contradict.
    public init(
        json: JSONValue, address: (queue: String, name: String)? = nil
    ) throws(Invalid) {
        guard let members = json.objectValue else {
            throw Invalid(field: "", problem: "a task is an object, not \(json.kindDescription)")
        }
        let fields = Fields(members: members)
        guard let name = try fields.text("name") ?? address?.name else {
            throw Invalid(field: "name", problem: "is missing: it says which task to run")
        }
        let queue = try fields.text("queue") ?? address?.queue ?? TaskRequest.defaultQueue
        guard TaskRequest.isName(name) else {
            throw Invalid(field: "name", problem: "must be 1 to 128 letters, digits, _, - and single dots")
        }
        guard TaskRequest.isQueue(queue) else {
            throw Invalid(field: "queue", problem: "must be 1 to 64 letters, digits, _ and -")
        }
        if let address, address != (queue, name) {
            throw Invalid(
                field: address.name == name ? "queue" : "name",
                problem: "is not the one that the message's subject says")
        }
        self.init(
            id: try fields.id(), name: name, arguments: try fields.arguments(), user: try fields.user(), queue: queue,
            maximumAttempts: try fields.maximumAttempts(), timeout: try fields.limit("timeout"),
            softTimeout: try fields.limit("soft_timeout"), eta: try fields.eta(), delay: try fields.delay(),
            expires: try fields.expires(), retry: try fields.retry(), links: try TaskLinks(members: members))
        if eta != nil, delay != nil {
            throw Invalid(field: "delay", problem: "is not to be given together with eta")
        }
        if let timeout, let softTimeout, softTimeout >= timeout {
            throw Invalid(
                field: "soft_timeout", problem: "must be shorter than timeout, which ends the attempt in any case")
        }
    }

    /// The request as JSON; members that are not set are left out.
    public var json: JSONValue {
        var members = JSONObject()
        members["id"] = id.map { .string($0.description) }
        members["name"] = .string(name)
        members["args"] = .object(arguments)
        members["user"] = user.map { .string($0) }
        members["queue"] = .string(queue)
        members["max_attempts"] = maximumAttempts.map { .integer(Int64($0)) }
        members["timeout"] = timeout.map { .string(DurationText.format($0)) }
        members["soft_timeout"] = softTimeout.map { .string(DurationText.format($0)) }
        members["eta"] = eta.map { .string($0.description) }
        members["delay"] = delay.map { .string(DurationText.format($0)) }
        members["expires"] = expires.map { expires in
            switch expires {
            case .at(let moment): .string(moment.description)
            case .after(let duration): .string(DurationText.format(duration))
            }
        }
        members["retry"] = retry.map { retry in
            var times = JSONObject()
            times["base"] = retry.base.map { .string(DurationText.format($0)) }
            times["max"] = retry.maximum.map { .string(DurationText.format($0)) }
            return .object(times)
        }
        links.write(to: &members)
        return .object(members)
    }
}

/// The members of a request, read one by one. A member that is null is one that is not there.
private struct Fields {
    let members: JSONObject

    private func member(_ name: String) -> JSONValue? {
        guard let value = members[name], !value.isNull else { return Optional.none }
        return value
    }

    func text(_ name: String) throws(TaskRequest.Invalid) -> String? {
        guard let value = member(name) else { return nil }
        guard let text = value.stringValue else {
            throw TaskRequest.Invalid(field: name, problem: "must be a string, not \(value.kindDescription)")
        }
        return text
    }

    func id() throws(TaskRequest.Invalid) -> TaskID? {
        guard let text = try text("id") else { return nil }
        guard let id = TaskID(text) else {
            throw TaskRequest.Invalid(field: "id", problem: "must be 1 to 128 letters, digits, _, - and single dots")
        }
        return id
    }

    func arguments() throws(TaskRequest.Invalid) -> JSONObject {
        guard let value = member("args") else { return [:] }
        guard let arguments = value.objectValue else {
            throw TaskRequest.Invalid(field: "args", problem: "must be an object, not \(value.kindDescription)")
        }
        return arguments
    }

    /// A user is text; a whole number, which many systems use for users, is taken as its digits.
    func user() throws(TaskRequest.Invalid) -> String? {
        let text: String?
        if case .integer(let number)? = member("user") { text = String(number) } else { text = try self.text("user") }
        guard let text else { return nil }
        guard TaskRequest.isUser(text) else {
            throw TaskRequest.Invalid(
                field: "user", problem: "must be a user's id: 1 to 200 bytes without an empty part between dots")
        }
        return text
    }

    func maximumAttempts() throws(TaskRequest.Invalid) -> Int? {
        guard let value = member("max_attempts") else { return nil }
        guard let number = value.integerValue, (1...Int64(TaskRequest.maximumAttemptsLimit)).contains(number) else {
            throw TaskRequest.Invalid(
                field: "max_attempts", problem: "must be a whole number from 1 to \(TaskRequest.maximumAttemptsLimit)")
        }
        return Int(number)
    }

    /// How long an attempt may take.
    func limit(_ name: String) throws(TaskRequest.Invalid) -> Duration? {
        guard let value = member(name) else { return nil }
        guard let duration = Fields.duration(value), duration > .zero, duration <= TaskRequest.timeoutLimit else {
            throw TaskRequest.Invalid(
                field: name, problem: "must be a time such as \"30s\", \"5m\" or 30 (seconds), at most 30d")
        }
        return duration
    }

    func delay() throws(TaskRequest.Invalid) -> Duration? {
        guard let value = member("delay") else { return nil }
        guard let duration = Fields.duration(value) else {
            throw TaskRequest.Invalid(
                field: "delay", problem: "must be a time such as \"30s\", \"2h\" or 30 (seconds)")
        }
        return duration
    }

    func eta() throws(TaskRequest.Invalid) -> Timestamp? {
        guard let value = member("eta") else { return nil }
        guard let moment = Fields.moment(value) else {
            throw TaskRequest.Invalid(
                field: "eta", problem: "must be a moment such as \"2026-01-01T00:00:00Z\" or seconds since 1970")
        }
        return moment
    }

    /// A number is seconds since 1970 if it is of this century, and else counts from the submission.
    func expires() throws(TaskRequest.Invalid) -> TaskRequest.Expiry? {
        guard let value = member("expires") else { return nil }
        let isEpoch = value.doubleValue.map { $0 >= 946_684_800 } ?? (value.stringValue?.contains("-") == true)
        if isEpoch, let moment = Fields.moment(value) { return .at(moment) }
        guard !isEpoch, let duration = Fields.duration(value) else {
            throw TaskRequest.Invalid(
                field: "expires", problem: "must be a time such as \"10m\" or a moment such as \"2026-01-01T00:00:00Z\""
            )
        }
        return .after(duration)
    }

    func retry() throws(TaskRequest.Invalid) -> TaskRequest.Retry? {
        guard let value = member("retry") else { return nil }
        guard let times = value.objectValue else {
            throw TaskRequest.Invalid(
                field: "retry", problem: "must be an object such as {\"base\": \"2s\", \"max\": \"10m\"}")
        }
        func time(_ name: String) throws(TaskRequest.Invalid) -> Duration? {
            guard let value = times[name], !value.isNull else { return nil }
            guard let duration = Fields.duration(value), duration > .zero else {
                throw TaskRequest.Invalid(field: "retry.\(name)", problem: "must be a time such as \"2s\" or \"10m\"")
            }
            return duration
        }
        let (maximum, synonym) = (try time("max"), try time("maximum"))
        return TaskRequest.Retry(base: try time("base"), maximum: maximum ?? synonym)
    }

    /// `"30s"`, `"5m"`, or a number of seconds; nil for anything else, and for less than nothing.
    private static func duration(_ value: JSONValue) -> Duration? {
        switch value {
        case .string(let text): DurationText.parse(text)
        case .integer(let seconds): DurationText.parse(String(seconds))
        case .double(let seconds) where seconds >= 0 && seconds < 3e9:
            .milliseconds(Int64((seconds * 1000).rounded()))
        default: nil
        }
    }

    /// RFC 3339, or seconds since 1970.
    private static func moment(_ value: JSONValue) -> Timestamp? {
        switch value {
        case .string(let text): Timestamp(rfc3339: text)
        case .integer(let seconds) where (0...9_000_000_000).contains(seconds): Timestamp(seconds: seconds)
        case .double(let seconds) where (0...9e9).contains(seconds):
            Timestamp(nanoseconds: Int64(seconds * 1000) * 1_000_000)
        default: nil
        }
    }
}
