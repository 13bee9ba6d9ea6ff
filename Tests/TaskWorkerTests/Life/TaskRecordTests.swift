import Events
import JSON
import TaskWorkerCore
import Tasks
import TestKit
import Testing

let taskID = TaskID("t1") ?? .derived(storedAt: Timestamp(seconds: 0), sequence: 0)

func record(_ request: TaskRequest = TaskRequest(name: "x", user: "42"), attempts: Int = 3) -> TaskRecord {
    TaskRecord(queued: request, id: taskID, maximumAttempts: attempts, streamSequence: 5, at: Timestamp(seconds: 100))
}

@Suite struct TaskRecordTests {
    @Test("a record is read as it was written, in every state")
    func roundTrip() {
        var record = record(TaskRequest(name: "x", user: "42", eta: Timestamp(seconds: 200)))
        func check() {
            #expect(TaskRecord(json: record.json) == record)
            #expect((try? JSONValue(parsing: record.json.serialized())).flatMap(TaskRecord.init(json:)) == record)
            #expect((try? JSONValue(parsing: record.serialized())) == record.json)
        }
        check()
        record.begin(worker: "w1", streamSequence: 5, at: Timestamp(nanoseconds: 123_456_789))
        check()
        record.report(progress: 33.5, message: "third", at: Timestamp(seconds: 201))
        check()
        record.retry(message: "no", due: Timestamp(seconds: 300), at: Timestamp(seconds: 202))
        check()
        record.begin(worker: "w2", streamSequence: 5, at: Timestamp(seconds: 301))
        record.handBack(message: "stopping", at: Timestamp(seconds: 302))
        check()
        record.begin(worker: "w2", streamSequence: 5, at: Timestamp(seconds: 301))
        record.complete(result: ["rows": 3], at: Timestamp(seconds: 302))
        check()
        let bare = TaskRecord(
            queued: TaskRequest(name: "x", user: "42", queue: "q"), id: taskID, maximumAttempts: 1, streamSequence: nil,
            at: Timestamp(seconds: 1))
        #expect((try? JSONValue(parsing: bare.serialized())) == bare.json)
    }

    @Test("the version grows with every transition, whatever order they come in", arguments: 0..<100)
    func versions(seed: Int) {
        var random = SeededGenerator(seed: seed)
        var record = record()
        for step in 0..<40 {
            let before = record
            let now = Timestamp(seconds: Int64(step))
            switch Int.random(in: 0..<12, using: &random) {
            case 0...2: record.begin(worker: "w", streamSequence: 5, at: now)
            case 3...7: record.report(progress: Double.random(in: -50...150, using: &random), message: nil, at: now)
            case 8: record.retry(message: "r", due: now, at: now)
            case 9: record.handBack(message: "h", at: now)
            case 10: if step > 30 { record.cancel(message: "c", at: now) }
            default: if step > 30 { record.complete(result: 1, at: now) }
            }
            if before.state.isFinal {
                #expect(record == before, "seed \(seed): nothing follows a final state")
            } else if record != before {
                #expect(record.status.supersedes(before.status), "seed \(seed)")
                if record.attempt == before.attempt { #expect(record.progress >= before.progress, "seed \(seed)") }
            }
            #expect((0...100).contains(record.progress))
        }
    }

    @Test("an attempt that was handed back does not count")
    func handBack() {
        var record = record(attempts: 1)
        for _ in 0..<3 {
            record.begin(worker: "w", streamSequence: 5, at: Timestamp(seconds: 1))
            record.handBack(message: "stopping", at: Timestamp(seconds: 2))
        }
        #expect(record.attempt == 3)
        #expect(record.hasAttemptsLeft)
        record.begin(worker: "w", streamSequence: 5, at: Timestamp(seconds: 3))
        #expect(!record.hasAttemptsLeft)
    }

    @Test("what is no record is not read as one", arguments: ["{}", "[]", "{\"task_id\":\"a\"}", "null"])
    func garbage(text: String) throws {
        #expect(TaskRecord(json: try JSONValue(parsing: text)) == nil)
    }

    @Test("only the newest errors are kept and messages are bounded")
    func bounds() {
        var record = record(attempts: 100)
        for attempt in 1...80 {
            record.begin(worker: "w", streamSequence: 5, at: Timestamp(seconds: 1))
            record.retry(
                message: String(repeating: "é", count: 5000), due: Timestamp(seconds: 2),
                at: Timestamp(seconds: Int64(attempt)))
        }
        #expect(record.errors.count == TaskRecord.keptErrors)
        #expect(record.errors.last?.attempt == 80)
        #expect((record.message?.utf8.count ?? 0) <= TaskRecord.maximumMessageLength + 8)
    }
}

@Suite struct RetryPolicyTests {
    @Test("the longest wait doubles up to the maximum, and a random share of it is taken")
    func delays() {
        let policy = RetryPolicy(base: .seconds(1), maximum: .seconds(10))
        #expect((1...6).map { policy.delay(afterAttempt: $0, random: 1) } == [1, 2, 4, 8, 10, 10].map { .seconds($0) })
        #expect(policy.delay(afterAttempt: 3, random: 0.5) == .seconds(2))
        #expect(policy.delay(afterAttempt: 3, random: 0) == .zero)
        #expect(policy.delay(afterAttempt: .max, random: 1) == .seconds(10))
        #expect(policy.delay(afterAttempt: 0, random: 7) == .seconds(1))
    }
}
