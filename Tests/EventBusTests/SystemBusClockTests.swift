import EventBus
import Events
import Synchronization
import Testing

@Suite("The machine's clock", .timeLimit(.minutes(1)))
struct SystemBusClockTests {
    @Test("plans run in the order of their times, and those that were taken back do not")
    func order() async {
        let clock: any BusClock = SystemBusClock()
        let (ran, continuation) = AsyncStream.makeStream(of: Int.self)
        let start = clock.now
        clock.schedule(after: .milliseconds(60)) { continuation.yield(3) }
        let takeBack = clock.schedule(after: .milliseconds(20)) { continuation.yield(0) }
        clock.schedule(after: .milliseconds(40)) { continuation.yield(2) }
        clock.schedule(after: .zero) { continuation.yield(1) }
        takeBack()
        clock.schedule(after: .milliseconds(80)) { continuation.finish() }
        var found: [Int] = []
        for await number in ran { found.append(number) }
        #expect(found == [1, 2, 3])
        #expect(start.duration(to: clock.now) >= .milliseconds(80))
    }

    @Test("thousands that are taken back before their time cost the others nothing")
    func many() async {
        let clock: any BusClock = SystemBusClock()
        let (ran, continuation) = AsyncStream.makeStream(of: Int.self)
        for number in 0..<10 {
            for _ in 0..<2_000 {
                let takeBack = clock.schedule(after: .seconds(3600)) { continuation.yield(-1) }
                takeBack()
            }
            clock.schedule(after: .milliseconds(10 * number)) {
                continuation.yield(number)
                if number == 9 { continuation.finish() }
            }
        }
        var found: [Int] = []
        for await number in ran { found.append(number) }
        #expect(found.sorted() == Array(0..<10))
    }
}
