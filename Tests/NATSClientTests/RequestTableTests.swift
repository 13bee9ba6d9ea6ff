import TestKit
import Testing

@testable import NATSClient

@Suite("Who waits for an answer")
struct RequestTableTests {
    private let start = ContinuousClock.now

    @Test("each waiter is given back once")
    func removal() {
        let table = Table()
        let token = table.reserve()
        #expect(table.wait(token, 7, until: start + .seconds(1)))
        #expect(table.remove(token) == 7)
        #expect(table.remove(token) == nil)
        #expect(table.abandon(token) == nil)
        #expect(table.count == 0)
    }

    @Test("a waiter can be looked at as long as it waits")
    func looking() {
        let table = Table()
        let token = table.reserve()
        #expect(table.waiter(of: token) == nil)
        #expect(table.wait(token, 7, until: start + .seconds(1)))
        #expect(table.waiter(of: token) == 7)
        #expect(table.waiter(of: token) == 7)
        #expect(table.remove(token) == 7)
        #expect(table.waiter(of: token) == nil)
    }

    @Test("a request that is abandoned before its waiter comes refuses the waiter")
    func abandonedEarly() {
        let table = Table()
        let token = table.reserve()
        #expect(table.abandon(token) == nil)
        #expect(!table.wait(token, 7, until: start))
        #expect(table.count == 0)
        let forgotten = table.reserve()
        table.forget(forgotten)
        #expect(!table.wait(forgotten, 8, until: start))
        #expect(table.count == 0)
    }

    @Test("those whose time has come expire, in the order of their deadlines, others stay")
    func expiry() {
        let table = Table()
        for seconds in [5, 1, 3, 2, 4] {
            #expect(table.wait(table.reserve(), seconds, until: start + .seconds(seconds)))
        }
        #expect(table.nextDeadline == start + .seconds(1))
        #expect(table.expire(now: start + .milliseconds(500)).isEmpty)
        #expect(table.expire(now: start + .seconds(3)) == [1, 2, 3])
        #expect(table.nextDeadline == start + .seconds(4))
        #expect(table.removeAll().sorted() == [4, 5])
        #expect(table.nextDeadline == nil)
    }

    @Test("answered requests leave no deadlines behind for long")
    func sweeping() {
        let table = Table()
        let kept = table.reserve()
        #expect(table.wait(kept, -1, until: start + .seconds(100)))
        for number in 0..<10_000 {
            let token = table.reserve()
            #expect(table.wait(token, number, until: start + .seconds(10)))
            #expect(table.remove(token) == number)
        }
        #expect(table.deadlineCount <= 65)
        #expect(table.expire(now: start + .seconds(50)).isEmpty)
        #expect(table.nextDeadline == start + .seconds(100))
        #expect(table.remove(kept) == -1)
    }

    @Test("behaves as a dictionary with deadlines does", arguments: 0..<50)
    func model(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let table = Table()
        var model: [UInt64: (waiter: Int, deadline: Int)] = [:]
        var now = 0
        for step in 0..<500 {
            switch Int.random(in: 0..<4, using: &random) {
            case 0, 1:
                let token = table.reserve()
                let deadline = now + Int.random(in: 1..<50, using: &random)
                #expect(table.wait(token, step, until: start + .seconds(deadline)), "seed \(seed)")
                model[token] = (step, deadline)
            case 2:
                guard let token = model.keys.sorted().randomElement(using: &random) else { continue }
                #expect(table.remove(token) == model[token]?.waiter, "seed \(seed)")
                model[token] = nil
            default:
                now += Int.random(in: 0..<20, using: &random)
                let expired = model.filter { $0.value.deadline <= now }
                #expect(
                    Set(table.expire(now: start + .seconds(now))) == Set(expired.values.map(\.waiter)), "seed \(seed)")
                for token in expired.keys { model[token] = nil }
            }
            #expect(table.count == model.count, "seed \(seed)")
        }
    }
}

/// The table by reference: `#expect` takes no call that changes a value.
private final class Table {
    private var table = RequestTable<Int>()

    var count: Int { table.count }
    var deadlineCount: Int { table.deadlineCount }
    var nextDeadline: ContinuousClock.Instant? { table.nextDeadline }

    func reserve() -> UInt64 { table.reserve() }
    func wait(_ token: UInt64, _ waiter: Int, until deadline: ContinuousClock.Instant) -> Bool {
        table.wait(token, waiter, until: deadline)
    }
    func waiter(of token: UInt64) -> Int? { table.waiter(of: token) }
    func remove(_ token: UInt64) -> Int? { table.remove(token) }
    func forget(_ token: UInt64) { table.forget(token) }
    func abandon(_ token: UInt64) -> Int? { table.abandon(token) }
    func expire(now: ContinuousClock.Instant) -> [Int] { table.expire(now: now) }
    func removeAll() -> [Int] { table.removeAll() }
}
