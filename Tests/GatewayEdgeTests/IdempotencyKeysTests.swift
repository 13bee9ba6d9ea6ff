import Events
import GatewaySession
import Testing

@testable import GatewayEdge

@Suite struct IdempotencyKeysTests {
    private let channel: ChannelName
    private let other: ChannelName

    init() throws {
        channel = try ChannelName("quiet:a")
        other = try ChannelName("quiet:b")
    }

    private func at(_ seconds: Int64) -> Moment { Moment(milliseconds: seconds * 1000) }

    @Test("a key is taken once on each channel, for two minutes")
    func once() {
        let keys = IdempotencyKeys()
        #expect(keys.take("k", on: channel, now: at(0)))
        #expect(!keys.take("k", on: channel, now: at(119)))
        #expect(keys.take("k", on: other, now: at(119)))
        #expect(keys.take("k", on: channel, now: at(120)))
        #expect(!keys.take("k", on: other, now: at(130)))
    }

    @Test("a key whose message failed may be used again")
    func giveBack() {
        let keys = IdempotencyKeys()
        #expect(keys.take("a", on: channel, now: at(0)))
        #expect(keys.take("k", on: channel, now: at(1)))
        keys.giveBack("k", on: channel)
        #expect(keys.take("k", on: channel, now: at(2)))
        #expect(!keys.take("a", on: channel, now: at(2)))
        #expect(keys.take("a", on: channel, now: at(120)))
        #expect(!keys.take("k", on: channel, now: at(121)))
        #expect(keys.take("k", on: channel, now: at(122)))
    }

    @Test("their number is bounded: the oldest go")
    func bound() {
        let keys = IdempotencyKeys()
        for number in 0...(2 * IdempotencyKeys.maximumCount + 5) {
            #expect(keys.take("\(number)", on: channel, now: at(0)))
        }
        #expect(keys.take("0", on: channel, now: at(0)))
        #expect(!keys.take("\(2 * IdempotencyKeys.maximumCount)", on: channel, now: at(0)))
    }
}
