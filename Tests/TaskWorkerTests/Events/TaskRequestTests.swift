import Events
import JSON
import TestKit
import Testing

@Suite struct TaskRequestTests {
    @Test("a request is read with everything that it may say, and written the same")
    func roundTrip() throws {
        let json: JSONValue = [
            "id": "a-1", "name": "dataset.summarize", "args": ["path": "a.csv"], "user": "42", "queue": "reports",
            "max_attempts": 5, "timeout": "90s", "soft_timeout": "1m", "eta": "2026-01-01T00:00:00Z",
            "expires": "10m", "retry": ["base": "5s", "max": 60],
        ]
        let request = try TaskRequest(json: json)
        #expect(request.id?.description == "a-1")
        #expect(request.arguments == ["path": "a.csv"])
        #expect(request.timeout == .seconds(90))
        #expect(request.softTimeout == .seconds(60))
        #expect(request.retry == TaskRequest.Retry(base: .seconds(5), maximum: .seconds(60)))
        #expect(request.eta == Timestamp(rfc3339: "2026-01-01T00:00:00Z"))
        #expect(try TaskRequest(json: request.json) == request)
    }

    @Test("a delay and an expiry count from the submission, unless they are moments")
    func times() throws {
        let submitted = Timestamp(seconds: 1_700_000_000)
        func request(_ members: JSONObject) throws -> TaskRequest {
            try TaskRequest(json: .object(members.merging(["name": "x"])))
        }
        let relative = try request(["delay": 90, "expires": 600.5])
        #expect(relative.due(submittedAt: submitted) == submitted.advanced(by: .seconds(90)))
        #expect(relative.expiry(submittedAt: submitted) == submitted.advanced(by: .milliseconds(600_500)))
        var fixed = relative
        fixed.fixTimes(submittedAt: submitted)
        let later = submitted.advanced(by: .seconds(50))
        #expect(fixed.delay == nil)
        #expect(fixed.due(submittedAt: later) == relative.due(submittedAt: submitted))
        #expect(fixed.expiry(submittedAt: later) == relative.expiry(submittedAt: submitted))
        let moment = Timestamp(seconds: 1_800_000_000)
        for expires in [.integer(1_800_000_000), .string(moment.description)] as [JSONValue] {
            #expect(try request(["expires": expires]).expires == .at(moment))
        }
        #expect(try request([:]).due(submittedAt: submitted) == nil)
    }

    @Test("what is left out has its default, and the subject may say the name")
    func defaults() throws {
        let request = try TaskRequest(json: [:], address: (queue: "reports", name: "apus.noop"))
        #expect(request == TaskRequest(name: "apus.noop", queue: "reports"))
        #expect(try TaskRequest(json: ["name": "x", "user": 7, "timeout": 1.5, "args": nil]).user == "7")
    }

    @Test(
        "what is wrong is told with the member's name",
        arguments: [
            ([], ""), (["args": [:]], "name"), (["name": 5], "name"), (["name": "a b"], "name"), (["name": ""], "name"),
            (["name": "a..b"], "name"), (["name": "x", "queue": "a.b"], "queue"), (["name": "x", "id": "a/b"], "id"),
            (["name": "x", "args": []], "args"), (["name": "x", "user": ""], "user"),
            (["name": "x", "user": true], "user"), (["name": "x", "max_attempts": 0], "max_attempts"),
            (["name": "x", "max_attempts": 1.5], "max_attempts"), (["name": "x", "max_attempts": "3"], "max_attempts"),
            (["name": "x", "timeout": "soon"], "timeout"), (["name": "x", "timeout": 0], "timeout"),
            (["name": "x", "timeout": 1e300], "timeout"), (["name": "x", "timeout": "9999d"], "timeout"),
            (["name": "x", "eta": "tomorrow"], "eta"), (["name": "x", "eta": 1e300], "eta"),
            (["name": "x", "eta": -1], "eta"), (["name": "x", "delay": -1], "delay"),
            (["name": "x", "delay": 1, "eta": 1_700_000_000], "delay"), (["name": "x", "delay": "1y"], "delay"),
            (["name": "x", "expires": "2026-13-01T00:00:00Z"], "expires"), (["name": "x", "expires": true], "expires"),
            (["name": "x", "expires": 1e300], "expires"), (["name": "x", "soft_timeout": 0], "soft_timeout"),
            (["name": "x", "soft_timeout": "30s", "timeout": 30], "soft_timeout"),
            (["name": "x", "retry": 5], "retry"),
            (["name": "x", "retry": ["base": 0]], "retry.base"), (["name": "x", "retry": ["max": []]], "retry.max"),
        ] as [(JSONValue, String)])
    func invalid(json: JSONValue, field: String) {
        let error = #expect(throws: TaskRequest.Invalid.self) { try TaskRequest(json: json) }
        #expect(error?.field == field)
    }

    @Test("a request that contradicts its subject is refused")
    func contradiction() {
        #expect(throws: TaskRequest.Invalid.self) {
            try TaskRequest(json: ["name": "b"], address: (queue: "default", name: "a"))
        }
        #expect(throws: TaskRequest.Invalid.self) {
            try TaskRequest(json: ["queue": "b"], address: (queue: "default", name: "a"))
        }
    }

    @Test("the subject of a task says its queue and name")
    func address() {
        let subjects = Subjects.standard
        let address = subjects.task(ofSubject: subjects.task(queue: "reports", name: "dataset.summarize"))
        #expect(address?.queue == "reports")
        #expect(address?.name == "dataset.summarize")
        #expect(subjects.task(ofSubject: "apus.event.x.y") == nil)
        #expect(subjects.task(ofSubject: "apus.task.default") == nil)
    }

    @Test("generated ids sort by their time and tell it")
    func identifiers() throws {
        var random = SeededGenerator(seed: 1)
        let early = TaskID.generate(at: Timestamp(seconds: 1_700_000_000), using: &random)
        let late = TaskID.generate(at: Timestamp(seconds: 1_700_000_001), using: &random)
        #expect(early.description < late.description)
        #expect(early.moment == Timestamp(seconds: 1_700_000_000))
        #expect(TaskID(early.description) == early)
        #expect(TaskID("order-7")?.moment == nil)
        let derived = TaskID.derived(storedAt: Timestamp(seconds: 1_700_000_000), sequence: 9)
        #expect(derived == .derived(storedAt: Timestamp(seconds: 1_700_000_000), sequence: 9))
        #expect(derived != .derived(storedAt: Timestamp(seconds: 1_700_000_000), sequence: 10))
        #expect(derived != .derived(storedAt: Timestamp(seconds: 1_700_000_001), sequence: 9))
    }

    @Test("a status is read as it was written, and newer ones supersede older ones until a final one")
    func status() throws {
        let id = try #require(TaskID("t1"))
        let status = TaskStatus(
            id: id, name: "x", state: .processing, progress: 40, attempt: 1, sequence: 7, message: "half", user: "42",
            queue: "default", maximumAttempts: 3, submittedAt: Timestamp(seconds: 1), updatedAt: Timestamp(seconds: 2))
        #expect(TaskStatus(json: status.json) == status)
        var bare = TaskStatus(id: id, name: "x", state: .completed, progress: 12.5)
        bare.result = ["rows": [1, "two"]]
        for status in [status, bare] { #expect(status.serialized() == status.json.serialized()) }
        #expect(status.json["progress"]?.description == "40")
        #expect(status.json["result"] == .some(.null))
        var later = status
        later.attempt = 2
        later.sequence = 1
        #expect(later.supersedes(status))
        #expect(!status.supersedes(later))
        #expect(!status.supersedes(status))
        var final = status
        final.state = .cancelled
        #expect(!later.supersedes(final))
    }
}
