import CommandLineCore
import Events
import JSON
import Testing

@Suite("Arguments of a task")
struct TaskArgumentsTests {
    @Test("pairs are JSON where they can be, else text, and go over the object")
    func pairs() throws {
        let arguments = try TaskArguments.parse(
            json: #"{"path": "a.csv", "limit": 1}"#,
            pairs: ["limit=20", "exact=true", "name=Ada Lovelace", "code=\"007\"", "list=[1,2]", "empty=", "eq=a=b"])
        #expect(
            JSONValue.object(arguments) == [
                "path": "a.csv", "limit": 20, "exact": true, "name": "Ada Lovelace", "code": "007", "list": [1, 2],
                "empty": "", "eq": "a=b",
            ])
    }

    @Test("a dotted key goes into nested objects")
    func nested() throws {
        let arguments = try TaskArguments.parse(
            json: #"{"filter": {"year": 2026}}"#, pairs: ["filter.country=NL", "a.b.c=1"])
        #expect(
            JSONValue.object(arguments) == ["filter": ["year": 2026, "country": "NL"], "a": ["b": ["c": 1]]])
    }

    @Test(
        "what is none is refused",
        arguments: [
            (nil, ["novalue"]), (nil, ["=x"]), (nil, ["a..b=1"]), (nil, [".a=1"]), (nil, ["a=1", "a.b=2"]),
            ("[1]", []), ("{", []), ("", []), (nil, [String(repeating: "a.", count: 40) + "a=1"]),
        ] as [(String?, [String])])
    func refused(json: String?, pairs: [String]) {
        #expect(throws: TaskArguments.Invalid.self) { try TaskArguments.parse(json: json, pairs: pairs) }
    }

    @Test("a mistake in JSON is told with line and column, counted in characters")
    func place() {
        let text = "{\"é\": 1,\n \"b\": x}"
        #expect {
            try TaskArguments.parse(json: text, pairs: [])
        } throws: { error in
            "\(error)".contains("line 2, column 7")
        }
    }
}

@Suite("Following a task")
struct TaskFollowerTests {
    private func status(
        _ state: TaskState, attempt: Int = 1, sequence: Int, progress: Double = 0, message: String? = nil
    ) throws -> TaskStatus {
        TaskStatus(
            id: try #require(TaskID("t1")), name: "dataset.summarize", state: state, progress: progress,
            attempt: attempt, sequence: sequence, message: message)
    }

    @Test("reports that are old, repeated or follow the end are ignored")
    func order() throws {
        var follower = TaskFollower()
        let first = try status(.started, sequence: 1)
        #expect(follower.received(first) == .show(first))
        #expect(follower.received(first) == .ignore)
        let second = try status(.processing, sequence: 3, progress: 30)
        #expect(follower.received(second) == .show(second))
        #expect(follower.received(try status(.processing, sequence: 2, progress: 20)) == .ignore)
        let retry = try status(.started, attempt: 2, sequence: 1)
        #expect(follower.received(retry) == .show(retry))
        #expect(follower.received(try status(.completed, attempt: 1, sequence: 9)) == .ignore)
        let end = try status(.completed, attempt: 2, sequence: 2)
        #expect(follower.received(end) == .finish(end))
        #expect(follower.received(try status(.processing, attempt: 3, sequence: 1)) == .ignore)
    }

    @Test("another task's reports are not this one's")
    func other() throws {
        var follower = TaskFollower()
        _ = follower.received(try status(.started, sequence: 1))
        let other = TaskStatus(id: try #require(TaskID("t2")), name: "x", state: .failed, attempt: 9, sequence: 9)
        #expect(follower.received(other) == .ignore)
    }

    @Test("plain output has a line per change of state and per ten percent")
    func lines() throws {
        var lines = TaskProgressLines()
        var shown: [String] = []
        func take(_ status: TaskStatus) { if let line = lines.line(for: status) { shown.append(line) } }
        take(try status(.queued, attempt: 0, sequence: 0))
        take(try status(.started, sequence: 1))
        for step in 0..<100 { take(try status(.processing, sequence: step + 2, progress: Double(step))) }
        take(try status(.retrying, sequence: 200, message: "disk\nfull"))
        take(try status(.started, attempt: 2, sequence: 1))
        take(try status(.completed, attempt: 2, sequence: 2, progress: 100))
        #expect(shown.count == 2 + 10 + 3)
        #expect(shown[2...4] == ["processing 0 %", "processing 10 %", "processing 20 %"])
        #expect(shown.suffix(3) == ["retrying: disk\\nfull", "started 0 % (attempt 2)", "completed"])
    }
}
