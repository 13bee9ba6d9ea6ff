import Events
import JSON
import TaskWorkerCore
import Testing

@Suite struct ToldVersionsTests {
    private let start = Timestamp(seconds: 1000)

    private func record() throws -> TaskRecord {
        TaskRecord(
            queued: TaskRequest(name: "task", user: "42"), id: try #require(TaskID("t")), maximumAttempts: 3,
            streamSequence: 5, at: start)
    }

    private func completed() throws -> TaskRecord {
        var done = try record()
        done.begin(worker: "w", streamSequence: 5, at: Timestamp(seconds: 1001))
        done.complete(result: 7, at: Timestamp(seconds: 1002))
        return done
    }

    private func text(_ statuses: [TaskStatus]) -> [String] {
        statuses.map { "\($0.state.rawValue) \($0.attempt).\($0.sequence)" }
    }

    @Test("what was other in an earlier status, put over a later one, is the earlier one")
    func differences() throws {
        var life = [try record().status]
        var running = try record()
        running.begin(worker: "w", streamSequence: 5, message: "again", at: Timestamp(seconds: 1001))
        life.append(running.status)
        running.report(progress: 12.5, message: "é", at: Timestamp(nanoseconds: 1_001_500_000_001))
        life.append(running.status)
        var ends = [running, running, running, running]
        ends[0].complete(result: ["a": [1, nil]], at: Timestamp(seconds: 1002))
        ends[1].fail(message: "no", at: Timestamp(seconds: 1002))
        ends[2].handBack(message: "stopped", at: Timestamp(seconds: 1002))
        ends[3].cancel(message: "cancelled", at: Timestamp(seconds: 1002))
        for later in life + ends.map(\.status) {
            for earlier in life {
                let changes = try JSONValue(parsing: earlier.serialized(differingFrom: later))
                let members = try #require(changes.objectValue)
                let merged = try #require(later.json.objectValue).merging(members)
                #expect(JSONValue.object(merged).serialized() == earlier.serialized())
                if earlier == later { #expect(members.isEmpty) }
            }
        }
    }

    @Test("a record says all that leads to it, once and in order")
    func statuses() throws {
        #expect(try record().statuses == [try record().status])
        let done = try completed().statuses
        #expect(text(done) == ["queued 0.0", "started 1.1", "completed 1.2"])
        #expect(done.last == (try completed().status))
        #expect(done.map(\.result) == [.null, .null, 7])
        #expect(done.map(\.updatedAt) == [start, Timestamp(seconds: 1001), Timestamp(seconds: 1002)])
        #expect(done.map(\.progress) == [0, 0, 100])
        var later = try record()
        for attempt in 1...3 { later.begin(worker: "w", streamSequence: 5, delivery: attempt, at: start) }
        #expect(text(later.statuses) == ["queued 0.0", "started 3.1"])
        later.report(progress: 5, message: nil, at: start)
        #expect(text(later.statuses) == ["queued 0.0", "started 3.1", "processing 3.2"])
        var gone = try record()
        gone.cancel(message: "stop", at: start)
        #expect(text(gone.statuses) == ["queued 0.0", "cancelled 0.1"])
    }

    /// What the user, and what the task's channel is still to be told.
    private func missing(_ told: ToldVersions) throws -> [[String]] {
        let all = try completed().statuses
        return [text(all.filter { !told.isToldToUser($0) }), text(all.filter { !told.isTold($0) })]
    }

    private let started = TaskStatus.Version(attempt: 1, sequence: 1)
    private let all = ["queued 0.0", "started 1.1", "completed 1.2"]

    @Test("whom nobody asked, the user was told what the task's channel holds")
    func unknown() throws {
        #expect(try missing(ToldVersions(onTask: nil)) == [all, all])
        #expect(try missing(ToldVersions(onTask: started)) == [["completed 1.2"], ["completed 1.2"]])
        let done = TaskStatus.Version(attempt: 1, sequence: 2)
        #expect(try missing(ToldVersions(onTask: done)) == [[], []])
    }

    @Test("each of the two channels may have come further than the other")
    func apart() throws {
        #expect(
            try missing(ToldVersions(onTask: nil, toUser: .version(started))) == [["completed 1.2"], all])
        #expect(
            try missing(ToldVersions(onTask: started, toUser: .nothing(after: Timestamp(seconds: 999)))) == [
                all, ["completed 1.2"],
            ])
    }

    @Test("a user's channel that holds nothing of the task says nothing of the time up to what it holds")
    func letGo() throws {
        let before = ToldVersions.ToUser.nothing(after: Timestamp(seconds: 1001))
        #expect(
            try missing(ToldVersions(onTask: TaskStatus.Version(attempt: 1, sequence: 2), toUser: before))
                == [["completed 1.2"], []])
        // What came at the very moment may have been let go of.
        let then = ToldVersions.ToUser.nothing(after: Timestamp(seconds: 1002))
        #expect(
            try missing(ToldVersions(onTask: TaskStatus.Version(attempt: 1, sequence: 2), toUser: then)) == [[], []])
        #expect(try missing(ToldVersions(onTask: started, toUser: then)) == [["completed 1.2"], ["completed 1.2"]])
    }
}
