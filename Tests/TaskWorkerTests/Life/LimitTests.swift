import Events
import JSON
import TaskWorkerCore
import TestKit
import Testing

@Suite struct RateTests {
    @Test("a rate is read, and what is none refused")
    func reading() {
        #expect(TaskRate("10/s")?.interval == .milliseconds(100))
        #expect(TaskRate("100/m")?.interval == .milliseconds(600))
        #expect(TaskRate("5/h")?.interval == .seconds(720))
        for text in ["", "10", "/s", "0/s", "-1/s", "1.5/s", "10/d", "10/s/s", "1000000/s", "99999999999999999999/s"] {
            #expect(TaskRate(text) == nil, "\(text)")
        }
    }

    @Test("slots are an interval apart, none in the past and none beyond the horizon")
    func slots() throws {
        let rate = try #require(TaskRate("10/s"))
        let now = Timestamp(seconds: 1_000)
        var schedule = RateSchedule()
        var slots = schedule.reserve(2, rate: rate, now: now)
        #expect(slots == [now, now.advanced(by: .milliseconds(100))])
        schedule = try #require(RateSchedule(json: schedule.json))
        slots = schedule.reserve(1, rate: rate, now: now)
        #expect(slots == [now.advanced(by: .milliseconds(200))])
        // 300 more slots until the horizon, though many more are asked for.
        let many = schedule.reserve(10_000, rate: rate, now: now)
        #expect(many.last == now.advanced(by: RateSchedule.horizon))
        #expect(many.count == 298)
        slots = schedule.reserve(1, rate: rate, now: now)
        #expect(slots == [])
        // Unused time is not saved up.
        let later = now.advanced(by: .seconds(500))
        slots = schedule.reserve(2, rate: rate, now: later)
        #expect(slots == [later, later.advanced(by: .milliseconds(100))])
        // A clock that was far ahead binds nobody for longer than the horizon.
        var wrong = RateSchedule(next: now.advanced(by: .seconds(1_000_000)))
        slots = wrong.reserve(1, rate: rate, now: now)
        #expect(slots == [])
        #expect(wrong.next <= now.advanced(by: RateSchedule.horizon + .milliseconds(100)))
    }

    @Test("a slot is good for a second, and not before its moment")
    func usable() {
        let slot = Timestamp(seconds: 1_000)
        #expect(!RateSchedule.isUsable(slot, now: Timestamp(seconds: 999)))
        #expect(RateSchedule.isUsable(slot, now: slot))
        #expect(RateSchedule.isUsable(slot, now: Timestamp(seconds: 1_001)))
        #expect(!RateSchedule.isUsable(slot, now: Timestamp(seconds: 1_002)))
    }

    @Test("what is wrong with a limit is told with its key")
    func limits() {
        var problems: [String] = []
        let limit = TaskLimit(json: ["concurrency": 2, "rate": "10/s"]) { key, _ in problems.append(key) }
        #expect(limit == TaskLimit(concurrency: 2, rate: TaskRate("10/s")))
        #expect(problems == [])
        _ = TaskLimit(json: ["concurrency": 0, "rate": 10, "x": 1]) { key, _ in problems.append(key) }
        _ = TaskLimit(json: 5) { key, _ in problems.append(key) }
        #expect(problems.sorted() == ["", "concurrency", "rate", "x"])
    }
}

@Suite struct PlaceTableTests {
    @Test("without a limit of the whole worker every queue has its own places")
    func independent() {
        var table = PlaceTable(total: nil, queues: ["a": (2, 10), "b": (1, 0)])
        let taken = (0..<3).map { _ in table.take("a") }
        #expect(taken == [true, true, false])
        #expect(table.free("b") == 1)
        #expect(!table.isAwaited("a"))
        table.giveBack("a")
        #expect(table.free("a") == 1)
        let isTaken = table.take("nobody")
        #expect(!isTaken)
    }

    @Test("a queue of higher priority goes first while it has tasks and places of its own")
    func priorities() {
        var table = PlaceTable(total: 3, queues: ["high": (2, 10), "low": (3, 0)])
        // Nobody has looked into the higher one yet.
        #expect(table.isAwaited("high") && !table.isAwaited("low"))
        #expect(table.free("low") == 0)
        table.note("high", mayHaveMore: false)
        #expect(table.free("low") == 3)
        var taken = (0..<2).map { _ in table.take("low") }
        #expect(taken == [true, true])
        table.note("high", mayHaveMore: true)
        #expect(table.free("low") == 0 && table.free("high") == 1)
        taken = [table.take("high")]
        #expect(taken == [true])
        #expect(table.free("high") == 0)
        table.giveBack("low")
        taken = [table.take("low"), table.take("high")]
        #expect(taken == [false, true])
        // All of the higher one's places are taken, so that the rest is for the others.
        table.giveBack("low")
        #expect(table.free("low") == 1)
        for _ in 1...5 { table.giveBack("low") }
        #expect(table.taken("low") == 0 && table.taken("high") == 2)
    }

    @Test("never more are taken than there are, whatever comes in which order", arguments: 0..<50)
    func laws(seed: Int) {
        var random = SeededGenerator(seed: seed)
        let queues = ["a": (places: 3, priority: 1), "b": (places: 4, priority: 0), "c": (places: 2, priority: 1)]
        let total = Int.random(in: 1...9, using: &random)
        var table = PlaceTable(total: total, queues: queues)
        var taken = ["a": 0, "b": 0, "c": 0]
        for _ in 0..<500 {
            let queue = ["a", "b", "c"].randomElement(using: &random) ?? "a"
            switch Int.random(in: 0..<3, using: &random) {
            case 0: if table.take(queue) { taken[queue, default: 0] += 1 }
            case 1:
                guard taken[queue] != 0 else { continue }
                table.giveBack(queue)
                taken[queue, default: 0] -= 1
            default: table.note(queue, mayHaveMore: Bool.random(using: &random))
            }
            for (name, limits) in queues {
                #expect(table.taken(name) == taken[name] && table.taken(name) <= limits.places, "seed \(seed)")
            }
            #expect(taken.values.reduce(0, +) <= total, "seed \(seed)")
            #expect(
                table.free("a") > 0 || table.free("b") > 0 || table.free("c") > 0 || taken.values.contains { $0 > 0 })
        }
    }
}

@Suite struct FetchPlanTests {
    private let many = 1_000_000

    @Test(
        "as many are asked for as there are places, some more of quick ones, and two batches of those that are done in no time"
    )
    func count() {
        var plan = FetchPlan()
        #expect(plan.count(free: 8, areTasksQuick: false, batchSize: nil, roomInBatches: 1280) == 8)
        #expect(plan.count(free: 8, areTasksQuick: true, batchSize: nil, roomInBatches: 1280) == 8 + FetchPlan.ahead)
        plan.note(count: 8, bytes: 800, waiting: many)
        #expect(plan.count(free: 0, areTasksQuick: true, batchSize: 100, roomInBatches: 1280) == 200)
    }

    @Test("no more are asked for than wait, than may be in batches, and than four megabytes of them")
    func bounds() {
        var plan = FetchPlan()
        plan.note(count: 8, bytes: 800, waiting: 150)
        #expect(plan.count(free: 2, areTasksQuick: true, batchSize: 100, roomInBatches: 1280) == 150)
        plan.note(count: 8, bytes: 800, waiting: many)
        #expect(plan.count(free: 2, areTasksQuick: true, batchSize: 100, roomInBatches: 70) == 70)
        plan.note(count: 10, bytes: 1 << 20, waiting: many)
        #expect(plan.count(free: 2, areTasksQuick: true, batchSize: 100, roomInBatches: 1280) == 40)
        // Whatever their size, places are not left free, and something is asked for.
        plan.note(count: 2, bytes: 128 << 20, waiting: many)
        #expect(plan.count(free: 5, areTasksQuick: true, batchSize: 100, roomInBatches: 1280) == 5)
        #expect(plan.count(free: 0, areTasksQuick: true, batchSize: 100, roomInBatches: 1280) == 1)
        // A fetch that brought nothing says nothing of how large they are.
        plan.note(count: 0, bytes: 0, waiting: 0)
        #expect(plan.count(free: 5, areTasksQuick: true, batchSize: 100, roomInBatches: 1280) == 5)
    }
}
