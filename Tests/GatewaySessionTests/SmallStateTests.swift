import Events
import GatewayWire
import TestKit
import Testing

@testable import GatewaySession

/// The parts that a connection's state is made of.
@Suite struct SmallStateTests {
    // MARK: Names

    @Test("an id is written as a UUID and read back, and nothing else is read")
    func ids() {
        var random = SeededGenerator(seed: 1)
        for _ in 0..<1000 {
            let id = RandomID.random(using: &random)
            #expect(RandomID(id.description) == id)
        }
        #expect("\(RandomID(high: 0, low: 0))" == "00000000-0000-4000-8000-000000000000")
        #expect("\(RandomID(high: .max, low: .max))" == "ffffffff-ffff-4fff-bfff-ffffffffffff")
        let text = "\(RandomID(high: .max, low: .max))"
        for other in [
            "", "c", text.uppercased(), String(text.dropLast()), text + "0", text.replacing("-", with: "0"),
            "g" + text.dropFirst(), text.replacing("b", with: "é"),
        ] {
            #expect(RandomID(other) == nil, "\(other)")
        }
    }

    // MARK: Tables

    private struct Element: OfChannel, Equatable {
        var channelName: ChannelName
        var number: Int
    }

    @Test("a table of channels is a dictionary, whether there are few or many", arguments: 0..<50)
    func table(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let names = try (0..<40).map { try ChannelName("room:\($0)") }
        // Where as many come as go there are few for long, and many for long where not.
        let share = Double.random(in: 0.2...0.9, using: &random)
        var table = ChannelTable<Element>()
        var model: [ChannelName: Int] = [:]
        for number in 0..<300 {
            let name = names.randomElement(using: &random) ?? names[0]
            if Double.random(in: 0...1, using: &random) < share {
                table.insert(Element(channelName: name, number: number))
                model[name] = number
            } else if Bool.random(using: &random) {
                let removed = (table.remove(name)?.number, model.removeValue(forKey: name))
                #expect(removed.0 == removed.1, "seed \(seed)")
            } else {
                table.change(name) { $0.number += 1000 }
                model[name]? += 1000
            }
            #expect(table.count == model.count, "seed \(seed)")
            #expect(table[name]?.number == model[name], "seed \(seed)")
        }
        let elements = table.elements.map { ($0.channelName, $0.number) }
        #expect(Dictionary(uniqueKeysWithValues: elements) == model, "seed \(seed)")
    }

    @Test("what is kept aside is a value: a copy does not see what is changed later")
    func aside() {
        var first = Aside<[Int]>()
        #expect(first.value == nil)
        first.change(from: [1]) { $0.append(2) }
        var second = first
        second.change(from: []) { $0.append(3) }
        #expect(first.value == [1, 2])
        #expect(second.value == [1, 2, 3])
        first.clear()
        #expect(first.value == nil)
        #expect(second.value == [1, 2, 3])
    }

    @Test("a list and a dictionary give back the room of what has gone, and keep the rest")
    func room() {
        var list = Array(0..<10_000)
        list.removeLast(9_990)
        list.giveBackRoom()
        #expect(list == Array(0..<10))
        #expect(list.capacity < 100)
        var table = Dictionary(uniqueKeysWithValues: (0..<10_000).map { ($0, $0) })
        for number in 10..<10_000 { table[number] = nil }
        table.giveBackRoom()
        #expect(table == Dictionary(uniqueKeysWithValues: (0..<10).map { ($0, $0) }))
        #expect(table.capacity < 100)
    }

    // MARK: Time

    @Test("a rate lets a burst through, then as many as flow in", arguments: [0.5, 1000.0 / 60, 50, 3000])
    func rate(perSecond: Double) {
        let rate = TokenRate(perSecond: perSecond, burst: perSecond * 2)
        var bucket = TokenBucket()
        let start = Moment(milliseconds: 5_000_000)
        var taken = 0
        while bucket.take(rate, now: start) == nil { taken += 1 }
        #expect(taken == Int(perSecond * 2))
        #expect(!bucket.isFull(now: start))
        let later = start.advanced(by: .seconds(60))
        #expect(bucket.isFull(now: later))
        // For a minute one each 20 ms, more than may be sent or fewer: what gets through is the rate's.
        bucket = TokenBucket()
        let sent = (0..<3000).count {
            bucket.take(rate, now: start.advanced(by: .milliseconds(20 * $0))) == nil
        }
        let allowed = min(3000, perSecond * 60 + rate.burst)
        #expect(abs(Double(sent) - allowed) <= 1 + perSecond / 50)
    }

    @Test("who must wait is told how long, and need not wait longer")
    func wait() {
        let rate = TokenRate(perSecond: 0.25, burst: 1)
        var bucket = TokenBucket()
        let now = Moment(milliseconds: 1000)
        let waits = [0, 0, 3, 4].map { bucket.take(rate, now: now.advanced(by: .seconds($0))) }
        #expect(waits == [nil, 4, 1, nil])
    }

    @Test("of a connection's entries in the wheel only that for the earliest deadline counts")
    func deadlines() {
        func second(_ number: Int64) -> DueSecond { DueSecond(Moment(milliseconds: number * 1000)) }
        func moment(_ number: Int64) -> Moment { Moment(milliseconds: number * 1000) }
        var deadlines = ConnectionDeadlines(beat: second(25), end: second(10))
        let scheduled = [deadlines.schedule(), deadlines.schedule()]
        #expect(scheduled == [second(10), nil])
        // A token that ends earlier.
        deadlines.end = second(5)
        let earlier = deadlines.schedule()
        #expect(earlier == second(5))
        let came = [4, 5].map { deadlines.came(now: moment($0)) }
        #expect(came == [false, true])
        deadlines.end = .never
        let next = deadlines.schedule()
        #expect(next == second(25))
        // The entry that was made first.
        let old = deadlines.came(now: moment(10))
        #expect(!old)
        let others = [deadlines.schedule(second(30)), deadlines.schedule(second(20))]
        #expect(others == [nil, second(20)])
        let last = deadlines.came(now: moment(26))
        #expect(last)
    }

    @Test("a deadline is never early, and the last of all never comes")
    func seconds() {
        #expect(!DueSecond(Moment(milliseconds: 1001)).isDue(Moment(milliseconds: 1999)))
        #expect(DueSecond(Moment(milliseconds: 1001)).isDue(Moment(milliseconds: 2000)))
        #expect(DueSecond(Moment(milliseconds: -5)).isDue(Moment(milliseconds: 0)))
        #expect(!DueSecond.never.isDue(Moment(milliseconds: .max)))
        #expect(DueSecond(Moment(milliseconds: .max - 999)) == .never)
    }
}
