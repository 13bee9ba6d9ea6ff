import Events
import TestKit
import Testing

@testable import ChannelHandlers

@Suite("The handlers that are alive")
struct LiveHandlersTests {
    private let start = Timestamp(seconds: 1_767_225_600)

    @Test("a channel has one handler, as long as somebody asks for it")
    func one() {
        var handlers = LiveHandlers<String>(maximumCount: 10, idleTime: .seconds(60))
        #expect(handlers.take(chat("1")) == nil)
        #expect(handlers.add("first", for: chat("1"), now: start) == "first")
        #expect(handlers.take(chat("1")) == "first")
        #expect(handlers.add("second", for: chat("1"), now: start) == "first")
        #expect(handlers.count == 1)
    }

    @Test("one in use is not let go, however long the question takes")
    func inUse() {
        var handlers = LiveHandlers<Int>(maximumCount: 10, idleTime: .seconds(60))
        _ = handlers.add(1, for: chat("1"), now: start)
        #expect(handlers.expire(now: start.advanced(by: .seconds(600))) == .seconds(60))
        #expect(handlers.count == 1)
        handlers.giveBack(chat("1"), now: start.advanced(by: .seconds(600)))
        #expect(handlers.expire(now: start.advanced(by: .seconds(659))) != nil)
        #expect(handlers.expire(now: start.advanced(by: .seconds(660))) == nil)
        #expect(handlers.count == 0)
    }

    @Test("when there are too many, the one idle for longest makes room, and is counted")
    func eviction() {
        var handlers = LiveHandlers<Int>(maximumCount: 3, idleTime: .seconds(60))
        for number in 1...3 {
            _ = handlers.add(number, for: chat("\(number)"), now: start)
            handlers.giveBack(chat("\(number)"), now: start.advanced(by: .seconds(Double(number))))
        }
        // 1 is used again, so that 2 is the one idle for longest.
        _ = handlers.take(chat("1"))
        handlers.giveBack(chat("1"), now: start.advanced(by: .seconds(9)))
        #expect(handlers.add(4, for: chat("4"), now: start.advanced(by: .seconds(10))) == 4)
        #expect(handlers.evicted == 1)
        #expect(handlers.take(chat("2")) == nil)
        #expect(handlers.take(chat("1")) == 1)
        #expect(handlers.take(chat("3")) == 3)
    }

    @Test("when all are in use, no further one is made")
    func full() {
        var handlers = LiveHandlers<Int>(maximumCount: 2, idleTime: .seconds(60))
        #expect(handlers.add(1, for: chat("1"), now: start) == 1)
        #expect(handlers.add(2, for: chat("2"), now: start) == 2)
        #expect(handlers.add(3, for: chat("3"), now: start) == nil)
        handlers.giveBack(chat("1"), now: start)
        #expect(handlers.add(3, for: chat("3"), now: start) == 3)
    }

    @Test("handlers behave as a list of who was used when does", arguments: 0..<50)
    func model(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        let (limit, idle) = (4, 8)
        var handlers = LiveHandlers<Int>(maximumCount: limit, idleTime: .seconds(Double(idle)))
        var model: [Int: (uses: Int, lastUse: Int)] = [:]
        for now in 0..<300 {
            let time = start.advanced(by: .seconds(Double(now)))
            let number = Int.random(in: 0..<6, using: &random)
            switch Int.random(in: 0..<5, using: &random) {
            case 0...1:
                let isThere = model[number] != nil
                #expect((handlers.take(chat("\(number)")) != nil) == isThere, "seed \(seed), step \(now)")
                if isThere { model[number]!.uses += 1 }
            case 2:
                if model[number] == nil, model.count >= limit,
                    let oldest = model.filter({ $0.value.uses == 0 }).min(by: { $0.value.lastUse < $1.value.lastUse })
                {
                    model[oldest.key] = nil
                }
                let fits = model[number] != nil || model.count < limit
                #expect(
                    (handlers.add(number, for: chat("\(number)"), now: time) != nil) == fits,
                    "seed \(seed), step \(now)")
                if fits { model[number, default: (0, now)].uses += 1 }
            case 3:
                guard let used = model.filter({ $0.value.uses > 0 }).keys.min() else { continue }
                handlers.giveBack(chat("\(used)"), now: time)
                model[used] = (model[used]!.uses - 1, now)
            default:
                _ = handlers.expire(now: time)
                model = model.filter { $0.value.uses > 0 || now - $0.value.lastUse < idle }
            }
            #expect(handlers.count == model.count, "seed \(seed), step \(now)")
        }
    }
}
