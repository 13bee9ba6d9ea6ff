import Events
import GatewaySession
import GatewayWire
import JSON
import TestKit
import Testing

@Suite struct ContinuityChainTests {
    @Test("a message is next when the one before it on its subject was passed on")
    func verdicts() {
        var chain = ContinuityChain(last: 10)
        #expect(chain.received(sequence: 10, previous: 9) == .ignore)
        #expect(chain.received(sequence: 15, previous: 10) == .deliver)
        #expect(chain.received(sequence: 20, previous: 18) == .gap)
        #expect(chain.last == 15)
        let isNew = chain.read(sequence: 18)
        let isNewAgain = chain.read(sequence: 18)
        #expect(isNew)
        #expect(!isNewAgain)
        #expect(chain.received(sequence: 20, previous: 18) == .deliver)
    }

    @Test("with no earlier message retained there is nothing to miss")
    func firstMessage() {
        var chain = ContinuityChain(last: 0)
        #expect(chain.received(sequence: 5, previous: 0) == .deliver)
    }
}

@Suite struct RecentMessagesTests {
    private func message(_ sequence: UInt64, at second: Int64 = 0, bytes: Int = 1) -> ChannelMessage {
        ChannelMessage(
            publication: Publication(payload: Array(repeating: 0x30, count: bytes), offset: sequence),
            storedAt: Timestamp(seconds: second))
    }

    @Test("what follows a position is given whole, or not at all")
    func after() {
        var recent = RecentMessages(base: 3, maximumCount: 3)
        for sequence: UInt64 in [5, 8, 9] { recent.append(message(sequence)) }
        #expect(recent.after(3)?.map(\.sequence) == [5, 8, 9])
        #expect(recent.after(8)?.map(\.sequence) == [9])
        #expect(recent.after(2) == nil)
        recent.append(message(12))
        #expect(recent.after(3) == nil)
        #expect(recent.after(5)?.map(\.sequence) == [8, 9, 12])
    }

    @Test("bytes are bounded, but the newest message stays")
    func bounded() {
        var recent = RecentMessages(base: 0, maximumCount: 100, maximumBytes: 10)
        recent.append(message(1, bytes: 6))
        recent.append(message(2, bytes: 6))
        #expect(recent.all.map(\.sequence) == [2])
        recent.append(message(3, bytes: 60))
        #expect(recent.all.map(\.sequence) == [3])
    }

    @Test("what has outlived its time is forgotten, and known to be")
    func expires() {
        var recent = RecentMessages(base: 0, maximumCount: 10)
        recent.append(message(1, at: 100))
        recent.append(message(2, at: 200))
        recent.expire(before: Timestamp(seconds: 150))
        #expect(recent.after(0) == nil)
        #expect(recent.after(1)?.map(\.sequence) == [2])
    }
}

@Suite struct TimingWheelTests {
    @Test("deadlines come due in order, never early, also after a long sleep", arguments: 0..<40)
    func order(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var wheel = TimingWheel<Int64>(now: Moment(milliseconds: 0))
        // Each with the moment from which on it may be due: not before it was scheduled.
        var waiting: [(deadline: Int64, from: Int64)] = []
        var now: Int64 = 0
        for _ in 0..<200 {
            let at = now + Int64.random(in: -2000...60_000, using: &random)
            wheel.schedule(at, at: Moment(milliseconds: at))
            waiting.append((at, max(at, now)))
            now += Bool.random(using: &random) ? Int64.random(in: 0...3000, using: &random) : 100_000
            let due = wheel.advance(to: Moment(milliseconds: now))
            #expect(due.allSatisfy { $0 <= now }, "seed \(seed)")
            for deadline in due {
                guard let index = waiting.firstIndex(where: { $0.deadline == deadline }) else {
                    Issue.record("seed \(seed): \(deadline) came twice")
                    continue
                }
                waiting.remove(at: index)
            }
            // Rounded up to whole seconds, so at most one second late by the wheel's own doing.
            #expect(waiting.allSatisfy { $0.from > now - 1000 }, "seed \(seed)")
        }
    }
}

@Suite struct NamespaceParserTests {
    @Test("the form of the documentation is understood")
    func documented() throws {
        var parser = NamespaceParser()
        let parsed = parser.parse([
            [
                "name": "shop", "subscribe": ["roles": ["staff"]], "publish": "hook",
                "history": ["size": 10, "ttl": "1h"], "presence": true, "join_leave": true, "slow": "latest",
            ]
        ])
        #expect(parser.problems.isEmpty)
        #expect(
            parsed == [
                Namespace(
                    name: "shop", subscribe: .roles(["staff"]), publish: .hook,
                    history: ChannelHistory(size: 10, timeToLive: .seconds(3600)), presence: true, joinLeave: true,
                    slow: .latest)
            ])
    }

    @Test("an override of a built-in namespace keeps what it does not name")
    func override() throws {
        var parser = NamespaceParser()
        let room = try #require(parser.parse([["name": "room", "publish": "nobody"]]).first)
        #expect(room.publish == .nobody)
        #expect(room.presence)
        #expect(room.history == ChannelHistory.builtIn["room"])
    }

    @Test("every problem is told with its place")
    func problems() {
        var parser = NamespaceParser()
        _ = parser.parse([
            ["name": "Bad"],
            [
                "name": "x", "subscribe": "somebody", "history": ["size": 0], "slow": "never", "presence": 1,
                "typo": true,
            ],
            7, ["name": "x"],
        ])
        let keys = parser.problems.map(\.key)
        for key in [
            "gateway.namespaces[0].name", "gateway.namespaces[1].subscribe", "gateway.namespaces[1].history.size",
            "gateway.namespaces[1].slow", "gateway.namespaces[1].presence", "gateway.namespaces[1].typo",
            "gateway.namespaces[2]", "gateway.namespaces[3].name",
        ] {
            #expect(keys.contains(key), "\(key)")
        }
    }
}

@Suite struct DrainScheduleTests {
    private let start = Moment(milliseconds: 5000)

    private func schedule(_ count: UInt64, over duration: Duration, seed: UInt64 = 1) -> DrainSchedule {
        var random = SeededGenerator(seed: seed)
        return DrainSchedule((0..<count).map { ConnectionID(number: $0) }, over: duration, now: start, using: &random)
    }

    @Test("clients go evenly over the time, each once", arguments: 0..<20)
    func even(_ seed: UInt64) {
        var schedule = schedule(1000, over: .seconds(10), seed: seed)
        var gone: [ConnectionID] = []
        for tick in 0...200 {
            let due = schedule.due(now: start.advanced(by: .milliseconds(Int64(tick) * 50)))
            #expect(due.count <= 6, "seed \(seed): a burst of \(due.count)")
            gone += due
            #expect(abs(gone.count - tick * 5) <= 1)
        }
        #expect(Set(gone).count == 1000)
        #expect(gone.count == 1000)
        #expect(schedule.isDone)
        #expect(gone.map(\.number) != gone.map(\.number).sorted(), "those who came together do not go together")
    }

    @Test("what is late is made up for, and without time all go at once")
    func late() {
        var slow = schedule(100, over: .seconds(10))
        #expect(slow.due(now: start).isEmpty)
        #expect(slow.due(now: start.advanced(by: .seconds(5))).count == 50)
        #expect(slow.due(now: start.advanced(by: .seconds(5))).isEmpty)
        #expect(slow.due(now: Moment(milliseconds: 0)).isEmpty, "a clock that went back")
        #expect(slow.due(now: start.advanced(by: .seconds(60))).count == 50)
        var fast = schedule(100, over: .zero)
        #expect(fast.due(now: start).count == 100)
        var empty = schedule(0, over: .seconds(1))
        #expect(empty.due(now: start).isEmpty)
        #expect(empty.isDone)
    }

    @Test("few clients are gone soon, many take the whole time")
    func duration() {
        let policy = DrainPolicy(duration: .seconds(15), perSecond: 500)
        #expect(policy.duration(for: 0) == .zero)
        #expect(policy.duration(for: 5) == .milliseconds(10))
        #expect(policy.duration(for: 1000) == .seconds(2))
        #expect(policy.duration(for: 10_000) == .seconds(15))
        #expect(DrainPolicy(duration: .seconds(15), perSecond: nil).duration(for: 1) == .seconds(15))
    }
}
