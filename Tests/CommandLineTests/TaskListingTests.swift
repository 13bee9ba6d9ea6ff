import CommandLineCore
import Events
import JSON
import Testing

@Suite("Tasks, queues and dead letters as the tool shows them")
struct TaskListingTests {
    private func status(
        _ id: String, _ state: TaskState, _ progress: Double = 0, attempt: Int = 1, sequence: Int, user: String? = nil,
        name: String = "report"
    ) throws -> TaskStatus {
        TaskStatus(
            id: try #require(TaskID(id)), name: name, state: state, progress: progress, attempt: attempt,
            sequence: sequence, user: user)
    }

    @Test("of many tasks each report is news once, and people get a line per change and per ten percent")
    func tail() throws {
        var tail = TaskTail()
        #expect(tail.received(try status("a", .started, sequence: 1))?.line == "started 0 %")
        #expect(tail.received(try status("b", .started, sequence: 1))?.line == "started 0 %")
        #expect(tail.received(try status("a", .started, sequence: 1)) == nil)
        #expect(tail.received(try status("a", .processing, 4, sequence: 2))?.line == "processing 4 %")
        let small = try #require(tail.received(try status("a", .processing, 6, sequence: 3)))
        #expect(small.line == nil)
        #expect(small.status.progress == 6)
        #expect(tail.received(try status("a", .processing, 12, sequence: 4))?.line == "processing 12 %")
        #expect(tail.received(try status("a", .completed, 100, sequence: 5))?.line == "completed")
        #expect(tail.received(try status("a", .processing, 50, sequence: 4)) == nil)
    }

    @Test("only what was asked for is news, and what a state hides does not come late")
    func filter() throws {
        var tail = TaskTail(filter: .init(user: "42", name: "report", state: .failed))
        #expect(tail.received(try status("a", .failed, sequence: 2, user: "7")) == nil)
        #expect(tail.received(try status("b", .failed, sequence: 2)) == nil)
        #expect(tail.received(try status("c", .failed, sequence: 2, user: "42", name: "other")) == nil)
        #expect(tail.received(try status("d", .started, sequence: 1, user: "42")) == nil)
        #expect(tail.received(try status("d", .failed, sequence: 2, user: "42"))?.status.state == .failed)
    }

    @Test("what is remembered is bounded, and the newest is")
    func memory() throws {
        var tail = TaskTail()
        for number in 0..<(3 * TaskTail.memory) {
            #expect(tail.received(try status("t\(number)", .started, sequence: 1)) != nil)
            #expect(tail.received(try status("t\(number)", .started, sequence: 1)) == nil)
        }
        #expect(tail.received(try status("t0", .started, sequence: 1)) != nil)
    }

    @Test("queues are a table; what is no queue is left out, whatever its members are")
    func queues() throws {
        let queues = [
            [
                "name": "default", "depth": 12, "oldest_age_seconds": 61.5, "running": 8, "delayed": 1, "paused": false,
                "limit": 1000,
            ],
            ["name": "reports", "depth": 0, "oldest_age_seconds": nil, "running": 0, "delayed": 0, "paused": true],
            ["name": "odd", "oldest_age_seconds": -1e300, "depth": "many", "paused": 3], ["depth": 3], 5, nil,
        ].compactMap { QueueListing(json: $0) }
        #expect(queues.map(\.name) == ["default", "reports", "odd"])
        let lines = QueueListing.table(queues).lines(Styler(isTerminal: false, environment: [:]))
        #expect(lines[0] == "QUEUE    WAITING     OLDEST  RUNNING  DELAYED  LIMIT  STATE")
        #expect(lines[1] == "default       12  1 min 1 s        8        1   1000  open")
        #expect(lines[2] == "reports        0          –        0        0      –  paused")
    }

    @Test("dead letters are a table with their age and reason on one line")
    func deadLetters() throws {
        let now = Timestamp(seconds: 1_767_225_600)
        let letters = [
            [
                "sequence": 12, "task_id": "01J", "name": "report", "reason": "no\nluck", "attempts": 3,
                "at": "2025-12-31T23:59:00Z",
            ], ["name": "none"], ["sequence": 13, "name": "order", "reason": 5],
        ].compactMap { DeadLetterListing(json: $0) }
        #expect(letters.map(\.sequence) == [12, 13])
        let lines = DeadLetterListing.table(letters, now: now).lines(Styler(isTerminal: false, environment: [:]))
        #expect(lines.count == 3)
        #expect(lines[1].hasPrefix("      12  1 min 0 s  report         3  01J"))
    }
}
