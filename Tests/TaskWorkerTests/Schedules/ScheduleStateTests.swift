import Events
import JSON
import TaskWorkerCore
import Testing

@Suite struct ScheduleStateTests {
    private func definition(_ missed: String, cron: String = "*/10 * * * *") throws -> ScheduleDefinition {
        try #require(
            ScheduleDefinition(
                name: "s", json: ["cron": .string(cron), "task": "t", "missed": .string(missed)], report: { _, _ in }))
    }

    private let start = Timestamp(seconds: 1_700_000_400)

    @Test("nothing is due before the first firing, and exactly one at it", arguments: ["skip", "once", "all"])
    func onTime(missed: String) throws {
        let definition = try definition(missed)
        let state = ScheduleState(beginningAt: start)
        let first = try #require(definition.firings.next(after: start))
        #expect(state.plan(definition, now: first.advanced(by: .nanoseconds(-1))) == nil)
        let plan = try #require(state.plan(definition, now: first))
        #expect(plan.firings == [first] && plan.skipped == 0)
        #expect(plan.next.last == first)
        #expect(plan.next.plan(definition, now: first) == nil)
        #expect(ScheduleState(json: try JSONValue(parsing: plan.next.json.serialized())) == plan.next)
    }

    @Test("firings that were missed are left out, made up for once, or all")
    func missed() throws {
        let state = ScheduleState(beginningAt: start)
        let now = start.advanced(by: .seconds(3600 + 300))
        let skip = try #require(try state.plan(definition("skip"), now: now))
        #expect(skip.firings.isEmpty && skip.skipped == 6)
        #expect(skip.next.last == nil)
        let once = try #require(try state.plan(definition("once"), now: now))
        #expect(once.firings.count == 1 && once.skipped == 5)
        let all = try #require(try state.plan(definition("all"), now: now))
        #expect(all.firings.count == 6 && all.skipped == 0)
        #expect(once.firings.last == all.firings.last)
        // A year of minutes is bounded.
        let year = try #require(
            try state.plan(definition("all", cron: "* * * * *"), now: start.advanced(by: .seconds(366 * 86_400))))
        #expect(year.firings.count == ScheduleDefinition.limit)
        #expect(year.skipped == 366 * 1440 - ScheduleDefinition.limit)
    }

    @Test("a firing that is at most a minute late is not missed")
    func late() throws {
        let definition = try definition("skip")
        let state = ScheduleState(beginningAt: start)
        let first = try #require(definition.firings.next(after: start))
        #expect(state.plan(definition, now: first.advanced(by: .seconds(60)))?.firings == [first])
        #expect(state.plan(definition, now: first.advanced(by: .seconds(61)))?.firings == [])
    }

    @Test("a firing is the same task whoever makes it, and knows its moment")
    func tasks() throws {
        let definition = try definition("once")
        let (one, two) = (definition.task(at: start), definition.task(at: start.advanced(by: .seconds(600))))
        #expect(one == definition.task(at: start))
        #expect(one.id != two.id)
        #expect(one.arguments == ["scheduled_at": .string(start.description)])
        let other = try self.definition("once", cron: "*/5 * * * *")
        #expect(definition.key != other.key)
    }

    @Test(
        "a wrong schedule is reported with its key",
        arguments: [
            ("5", ""), ("{}", "cron"), (#"{"cron":"x"}"#, "cron"), (#"{"cron":"* * * * *"}"#, "task"),
            (#"{"cron":"* * * * *","task":"a b"}"#, "task"),
            (#"{"cron":"* * * * *","task":"t","missed":"x"}"#, "missed"),
            (#"{"cron":"* * * * *","task":"t","timezone":"Mars/Olympus"}"#, "timezone"),
            (#"{"cron":"* * * * *","task":"t","arg":{}}"#, "arg"),
            (#"{"cron":"* * * * *","task":"t","args":5}"#, "args"),
            (#"{"cron":"* * * * *","task":"t","timeout":"soon"}"#, "timeout"),
        ])
    func invalid(text: String, key: String) throws {
        var keys: [String] = []
        let json = try JSONValue(parsing: text)
        #expect(ScheduleDefinition(name: "s", json: json) { key, _ in keys.append(key) } == nil)
        #expect(keys == [key])
    }
}
