import Events
import TaskWorkerCore
import Testing

@Suite struct LeftoverTests {
    private let start = Timestamp(seconds: 1000)

    private func record(_ sequence: UInt64? = 5, ended: Bool = false) throws -> TaskRecord {
        var record = TaskRecord(
            queued: TaskRequest(name: "task"), id: try #require(TaskID("t")), maximumAttempts: 3,
            streamSequence: sequence, at: start)
        if ended { record.cancel(message: "stop", at: start) }
        return record
    }

    private func decide(
        _ record: TaskRecord?, sequence: UInt64 = 5, isSettled: Bool = true, after: Duration = .seconds(20)
    )
        -> Leftover
    {
        Leftover.decide(
            record: record, sequence: sequence, storedAt: start, isSettled: isSettled, patience: .seconds(20),
            retention: .seconds(1000), now: start.advanced(by: after))
    }

    @Test("a task is left alone until nobody has written of it for long enough")
    func patience() throws {
        for found in [nil, try record(), try record(ended: true)] {
            #expect(decide(found, after: .seconds(19)) == .leave)
            #expect(decide(found) != .leave)
        }
    }

    @Test("what is over is concluded, and what is not is queued again")
    func outcome() throws {
        let ended = try record(ended: true)
        #expect(decide(ended) == .conclude(ended))
        #expect(decide(ended, sequence: 4) == .conclude(ended))
        #expect(decide(try record()) == .queueAgain)
        #expect(decide(try record(nil)) == .queueAgain)
        #expect(decide(nil) == .queueAgain)
    }

    @Test("what may still be delivered is concluded if it is over, and else left alone")
    func unsettled() throws {
        let ended = try record(ended: true)
        #expect(decide(ended, isSettled: false) == .conclude(ended))
        #expect(decide(ended, isSettled: false, after: .seconds(19)) == .leave)
        #expect(decide(try record(), isSettled: false) == .leave)
        #expect(decide(try record(), sequence: 4, isSettled: false) == .leave)
        #expect(decide(nil, isSettled: false, after: .seconds(1000)) == .leave)
    }

    @Test("of two messages of one task the older goes, since the other is delivered")
    func older() throws {
        #expect(decide(try record(), sequence: 4) == .remove)
        #expect(decide(try record(), sequence: 6) == .queueAgain)
    }

    @Test("a message that is older than any record is kept is of a task that was forgotten")
    func forgotten() {
        #expect(decide(nil, after: .seconds(999)) == .queueAgain)
        #expect(decide(nil, after: .seconds(1000)) == .remove)
    }
}
