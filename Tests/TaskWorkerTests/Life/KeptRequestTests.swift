import Events
import JSON
import TaskWorkerCore
import Testing

@Suite struct KeptRequestTests {
    @Test("a record holds a short request whole and a long one without arguments and chain")
    func abridged() throws {
        let links = TaskLinks(
            unique: "k", uniquePolicy: .return, chain: [TaskRequest(name: "y", links: TaskLinks(previous: "before"))],
            group: TaskLinks.GroupPlace(id: taskID, index: 3), follows: taskID, replayOf: taskID)
        let short = TaskRequest(
            id: taskID, name: "x", arguments: ["n": 1], user: "42", maximumAttempts: 7, timeout: .seconds(9),
            links: links)
        let kept = record(short)
        #expect(kept.request?.isAbridged == false)
        #expect(TaskRecord(json: try JSONValue(parsing: kept.json.serialized())) == kept)
        var expected = short
        expected.id = nil
        #expect(kept.request?.request == expected)

        var long = short
        long.arguments = ["text": .string(String(repeating: "x", count: KeptRequest.limit))]
        let abridged = record(long)
        #expect(abridged.request?.isAbridged == true)
        #expect(abridged.json.serialized().count < 1000)
        #expect(TaskRecord(json: try JSONValue(parsing: abridged.json.serialized())) == abridged)
        #expect(abridged.request?.request.links.group == links.group)
        #expect(abridged.request?.request.links.chain.isEmpty == true)
    }

    @Test("a task that is repeated has neither the old one's id, time nor place in its group")
    func repeated() {
        let old = TaskRequest(
            id: taskID, name: "x", arguments: ["n": 1], eta: Timestamp(seconds: 5),
            links: TaskLinks(chain: [TaskRequest(name: "y")], group: TaskLinks.GroupPlace(id: taskID, index: 0)))
        let new = old.repeated(taskID)
        #expect(new.id == nil && new.eta == nil && new.links.group == nil)
        #expect(new.links.replayOf == taskID)
        #expect(new.links.chain == old.links.chain && new.arguments == old.arguments)
    }

    @Test("the loss of a worker is among the errors of the attempts")
    func loss() throws {
        var running = record()
        running.begin(worker: "w1", streamSequence: 5, at: Timestamp(seconds: 1))
        let delivered = Admission.Delivered(
            request: TaskRequest(name: "x", user: "42"), id: taskID, streamSequence: 5, delivery: 2,
            storedAt: Timestamp(seconds: 0), defaultAttempts: 3, worker: "w2")
        guard case .begin(let next, _) = Admission.decide(delivered, record: running, now: Timestamp(seconds: 9)) else {
            Issue.record("the task is not taken over")
            return
        }
        #expect(next.errors.map(\.attempt) == [1])
        #expect(next.errors.first?.message.contains("lost") == true)
        #expect(next.startedAt == Timestamp(seconds: 9))
    }
}
