import JSON
import TaskWorkerCore
import Testing

@Suite struct ExecTranscriptTests {
    private func transcript(_ output: String, errors: String = "") -> ExecTranscript {
        var transcript = ExecTranscript()
        _ = transcript.output(Array(output.utf8))
        _ = transcript.error(Array(errors.utf8))
        _ = transcript.finish()
        return transcript
    }

    @Test("progress lines are reported, across pieces of any size")
    func progress() {
        let text = "{\"progress\": 40, \"message\": \"half\"}\r\n\n{\"progress\": 99.5}\n"
        for size in 1...text.utf8.count {
            var transcript = ExecTranscript()
            var reports: [(progress: Double, message: String?)] = []
            var rest = Array(text.utf8)[...]
            while !rest.isEmpty {
                reports += transcript.output(rest.prefix(size))
                rest = rest.dropFirst(size)
            }
            #expect(reports.map(\.progress) == [40, 99.5])
            #expect(reports.map(\.message) == ["half", nil])
            #expect(transcript.garbageLines == 0)
        }
    }

    @Test("the last result or error line decides, with or without a line end")
    func verdict() {
        #expect(transcript("{\"result\": 1}\n{\"result\": {\"a\": 2}}").outcome(.status(0)) == .completed(["a": 2]))
        #expect(transcript("{\"result\": null}\n").outcome(.status(0)) == .completed(nil))
        #expect(transcript("{\"error\": \"no\"}\n").outcome(.status(0)) == .failed("no"))
        #expect(transcript("{\"error\": \"no\", \"retry\": false}").outcome(.status(1)) == .failedForGood("no"))
        #expect(transcript("{\"error\": {\"code\": 3}}").outcome(.status(1)) == .failed("{\"code\":3}"))
    }

    @Test("without one the exit status decides, and the last line of standard error says why")
    func exitStatus() {
        #expect(transcript("").outcome(.status(0)) == .completed(nil))
        #expect(transcript("", errors: "warn\nKeyError: 'x'\n\n").outcome(.status(1)) == .failed("KeyError: 'x'"))
        #expect(transcript("", errors: "no line end").outcome(.status(1)) == .failed("no line end"))
        guard case .failed(let message) = transcript("").outcome(.status(3)) else {
            Issue.record("not failed")
            return
        }
        #expect(message.contains("3"))
        guard case .failed(let killed) = transcript("", errors: "oops").outcome(.signal(9)) else {
            Issue.record("not failed")
            return
        }
        #expect(killed.contains("signal 9") && killed.contains("oops"))
    }

    @Test("lines that are nothing known are counted and ignored")
    func garbage() {
        let transcript = transcript("hello\n[1]\n{\"progress\": \"x\"}\n\u{0}\n{\"result\": 1}\nbye\n")
        #expect(transcript.garbageLines == 5)
        #expect(transcript.outcome(.status(0)) == .completed(1))
    }

    @Test("a line that never ends is not kept, and fails the task if it is the last")
    func longLines() {
        let long = "{\"result\":\"" + String(repeating: "x", count: ExecTranscript.maximumLineLength) + "\"}\n"
        guard case .failedForGood = transcript(long).outcome(.status(0)) else {
            Issue.record("a result that was cut must not pass")
            return
        }
        #expect(transcript(long + "{\"result\": 1}\n").outcome(.status(0)) == .completed(1))
        #expect(transcript("", errors: long + "end\n").outcome(.status(1)) == .failed("end"))
    }
}

@Suite struct ExecTaskDefinitionTests {
    @Test("a definition is read with its defaults")
    func valid() throws {
        let definition = try #require(
            ExecTaskDefinition(
                name: "thumbnail",
                json: [
                    "command": ["python3", "thumbnail.py"], "timeout": "30s", "max_attempts": 5,
                    "environment": ["QUALITY": 80],
                ]
            ) { Issue.record("\($0) \($1)") })
        #expect(definition.command == ["python3", "thumbnail.py"])
        #expect(definition.timeout == .seconds(30))
        #expect(definition.environment == ["QUALITY": "80"])
        #expect(definition.queue == "default")
    }

    @Test("every problem is told with its key")
    func invalid() {
        var keys: [String] = []
        let definition = ExecTaskDefinition(
            name: "thumbnail",
            json: [
                "command": "python3", "queue": "a b", "timeout": "soon", "max_attempts": 0, "directory": 5,
                "environment": ["A=B": "x"], "retry": 3, "comand": [],
            ]
        ) { key, _ in keys.append(key) }
        #expect(definition == nil)
        #expect(
            keys == [
                "command", "queue", "timeout", "max_attempts", "directory", "environment.A=B", "retry", "comand",
            ])
        #expect(ExecTaskDefinition(name: "x", json: ["command": []]) { _, _ in } == nil)
        #expect(ExecTaskDefinition(name: "x", json: ["command": [""]]) { _, _ in } == nil)
        #expect(ExecTaskDefinition(name: "x", json: nil) { _, _ in } == nil)
        #expect(ExecTaskDefinition(name: "a b", json: ["command": ["x"]]) { _, _ in } == nil)
    }
}
