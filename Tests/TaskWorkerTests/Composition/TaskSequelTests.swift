import Events
import JSON
import TaskWorkerCore
import TestKit
import Testing

@Suite struct TaskSequelTests {
    private func ended(_ request: TaskRequest, as state: TaskState, result: JSONValue = 7) -> TaskRecord {
        var record = record(request)
        record.begin(worker: "w", streamSequence: 5, at: Timestamp(seconds: 110))
        switch state {
        case .completed: record.complete(result: result, at: Timestamp(seconds: 120))
        case .failed: record.fail(message: "no", at: Timestamp(seconds: 120))
        case .cancelled: record.cancel(message: "no", at: Timestamp(seconds: 120))
        default: break
        }
        return record
    }

    @Test("a chain goes on with the result, the rest of the chain, the group and the user of the task before")
    func next() throws {
        let place = TaskLinks.GroupPlace(id: taskID, index: 2)
        let request = TaskRequest(
            name: "a", user: "42",
            links: TaskLinks(chain: [TaskRequest(name: "b"), TaskRequest(name: "c", user: "7")], group: place))
        let record = ended(request, as: .completed)
        guard case .next(let next) = TaskSequel.decide(record, request) else {
            Issue.record("the chain does not go on")
            return
        }
        #expect(next.name == "b" && next.user == "42")
        #expect(next.arguments == ["previous": 7])
        #expect(next.links.chain.map(\.name) == ["c"])
        #expect(next.links.group == place && next.links.follows == taskID)
        #expect(next.id?.moment == Timestamp(seconds: 120))
        #expect(TaskSequel.decide(record, request) == .next(next))
        var last = try #require(next.links.chain.first)
        last.links.group = place
        #expect(TaskSequel.decide(ended(last, as: .completed), last) == .groupMember(place))
    }

    @Test("the result goes into the argument that the next task names, into none, or not over one that is there")
    func previous() {
        func arguments(_ next: TaskRequest) -> JSONObject? {
            let request = TaskRequest(name: "a", links: TaskLinks(chain: [next]))
            guard case .next(let made) = TaskSequel.decide(ended(request, as: .completed), request) else { return nil }
            return made.arguments
        }
        #expect(arguments(TaskRequest(name: "b", links: TaskLinks(previous: "rows"))) == ["rows": 7])
        #expect(arguments(TaskRequest(name: "b", arguments: ["n": 1], links: TaskLinks(previous: nil))) == ["n": 1])
        #expect(arguments(TaskRequest(name: "b", arguments: ["previous": 1])) == ["previous": 1])
    }

    @Test(
        "a chain that fails or is cancelled ends, and its group's member with it",
        arguments: [TaskState.failed, .cancelled])
    func ends(state: TaskState) {
        let place = TaskLinks.GroupPlace(id: taskID, index: 0)
        let chain = TaskLinks(chain: [TaskRequest(name: "b")], group: place)
        let request = TaskRequest(name: "a", links: chain)
        #expect(TaskSequel.decide(ended(request, as: state), request) == .groupMember(place))
        let alone = TaskRequest(name: "a", links: TaskLinks(chain: [TaskRequest(name: "b")]))
        #expect(TaskSequel.decide(ended(alone, as: state), alone) == .nothing)
        #expect(TaskSequel.decide(ended(alone, as: .processing), alone) == .nothing)
    }
}

@Suite struct UniqueClaimTests {
    @Test("a key is free when nobody has it, its holder is over, or was never stored")
    func answers() throws {
        let (holder, other) = (taskID, try #require(TaskID("t2")))
        let claim = UniqueClaim(holder: holder, claimedAt: Timestamp(seconds: 100))
        let soon = Timestamp(seconds: 130)
        #expect(UniqueClaim.answer(to: other, claim: nil, record: nil, now: soon) == .free)
        #expect(UniqueClaim.answer(to: holder, claim: claim, record: nil, now: soon) == .ours)
        #expect(UniqueClaim.answer(to: other, claim: claim, record: nil, now: soon) == .held(by: holder))
        #expect(UniqueClaim.answer(to: other, claim: claim, record: nil, now: Timestamp(seconds: 161)) == .free)
        var record = record()
        #expect(
            UniqueClaim.answer(to: other, claim: claim, record: record, now: Timestamp(seconds: 9999))
                == .held(by: holder))
        record.cancel(message: "c", at: soon)
        #expect(UniqueClaim.answer(to: other, claim: claim, record: record, now: soon) == .free)
    }
}

@Suite struct TaskGroupTests {
    private func group(_ count: Int, then callback: TaskRequest? = TaskRequest(name: "then")) -> TaskGroup {
        TaskGroup(id: taskID, user: "42", count: count, callback: callback, createdAt: Timestamp(seconds: 100))
    }

    @Test(
        "a group is finished by its last member, whatever the order and however often each is noted", arguments: 0..<50)
    func order(seed: Int) throws {
        var random = SeededGenerator(seed: seed)
        let count = Int.random(in: 1...40, using: &random)
        var group = group(count)
        let states: [TaskState] = [.completed, .failed, .cancelled]
        let ends = (0..<count).map { ($0, states[Int.random(in: 0..<3, using: &random)]) }
        var queue = ends.shuffled(using: &random)
        // Each is noted again at any later time, as by whoever gets its message next.
        for end in ends { queue.insert(end, at: Int.random(in: 0...queue.count, using: &random)) }
        var noted: Set<Int> = []
        for (index, state) in queue {
            let isNew = noted.insert(index).inserted
            let task = index % 2 == 0 ? group.taskID(index) : try #require(TaskID("last-\(index)"))
            let changed1 = group.end(index, as: state, with: task, at: Timestamp(seconds: 200))
            #expect(changed1 == isNew, "seed \(seed)")
            #expect(group.isFinished == (noted.count == count), "seed \(seed)")
            #expect(TaskGroup(json: try JSONValue(parsing: group.json.serialized())) == group, "seed \(seed)")
        }
        #expect(group.members == ends.map { TaskGroup.Member($0.1) }, "seed \(seed)")
        #expect(group.callbackRequest(results: [])?.id == group.callbackID)
        if count > 1 { #expect(group.lastTaskID(1).description == "last-1") }
    }

    @Test("the callback gets the results and how the members ended")
    func callback() {
        var group = group(3)
        #expect(group.callbackRequest(results: nil) == nil)
        for (index, state) in [TaskState.completed, .failed, .completed].enumerated() {
            let changed2 = group.end(index, as: state, with: group.taskID(index), at: Timestamp(seconds: 200))
            #expect(changed2)
        }
        let request = group.callbackRequest(results: [1, nil, 3])
        #expect(request?.user == "42")
        #expect(request?.arguments["previous"] == [1, nil, 3])
        #expect(request?.arguments["group"]?["completed"] == 2)
        #expect(request?.arguments["group"]?["failed"] == 1)
        #expect(request?.arguments["group"]?["states"] == ["completed", "failed", "completed"])
        #expect(group.callbackRequest(results: nil)?.arguments["previous"] == .null)
        #expect(Set((0..<3).map(group.taskID)).count == 3)
    }

    @Test("a group is cancelled before its last member has ended, or not at all; its callback does not run then")
    func cancel() throws {
        var group = group(2)
        let now = Timestamp(seconds: 150)
        #expect(group.unfinished == [0, 1])
        let (first, again) = (group.cancel(at: now), group.cancel(at: Timestamp(seconds: 151)))
        #expect(first && !again && group.cancelledAt == now)
        for index in 0..<2 {
            #expect(group.callbackRequest(results: []) == nil)
            _ = group.end(index, as: .cancelled, with: group.taskID(index), at: Timestamp(seconds: 200))
        }
        #expect(group.isFinished && group.callbackRequest(results: []) == nil && group.status["then"] == .null)
        #expect(TaskGroup(json: try JSONValue(parsing: group.json.serialized())) == group)
        var finished = self.group(1)
        _ = finished.end(0, as: .completed, with: taskID, at: now)
        let isCancelled = finished.cancel(at: now)
        #expect(!isCancelled && finished.callbackRequest(results: []) != nil)
    }

    @Test("a member that is none, or a state that is no end, changes nothing")
    func outOfRange() {
        var group = group(1, then: nil)
        let before = group
        let changed3 = group.end(1, as: .completed, with: taskID, at: Timestamp(seconds: 1))
        #expect(!changed3)
        let changed4 = group.end(-1, as: .completed, with: taskID, at: Timestamp(seconds: 1))
        #expect(!changed4)
        let changed5 = group.end(0, as: .processing, with: taskID, at: Timestamp(seconds: 1))
        #expect(!changed5)
        #expect(group == before)
        #expect(TaskGroup(json: ["id": "g", "created_at": "2026-01-01T00:00:00Z", "members": "cq"]) == nil)
    }
}
