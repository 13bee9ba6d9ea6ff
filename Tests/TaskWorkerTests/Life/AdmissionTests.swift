import Events
import JSON
import TaskWorkerCore
import Tasks
import Testing

@Suite struct AdmissionTests {
    private func delivered(
        _ request: TaskRequest = TaskRequest(name: "x"), sequence: UInt64 = 5, delivery: Int = 2
    ) -> Admission.Delivered {
        Admission.Delivered(
            request: request, id: taskID, streamSequence: sequence, delivery: delivery,
            storedAt: Timestamp(seconds: 100), defaultAttempts: 3, worker: "w2")
    }

    @Test("a task without a record begins its first attempt")
    func first() {
        let decision = Admission.decide(delivered(), record: nil, now: Timestamp(seconds: 101))
        guard case .begin(let record, replacing: nil) = decision else {
            Issue.record("\(decision)")
            return
        }
        #expect(record.state == .started)
        #expect(record.attempt == 1)
        #expect(record.maximumAttempts == 3)
        #expect(record.submittedAt == Timestamp(seconds: 100))
    }

    @Test("the worker that runs a task says how many attempts it has, whatever a worker that does not know it wrote")
    func attemptsOfAnotherWorker() {
        func begun(_ request: TaskRequest, maximumAttempts: Int) -> TaskRecord? {
            let queued = TaskRecord(
                queued: request, id: taskID, maximumAttempts: maximumAttempts, streamSequence: 5,
                at: Timestamp(seconds: 100))
            guard
                case .begin(let record, _) = Admission.decide(
                    delivered(request), record: queued, now: Timestamp(seconds: 101))
            else { return nil }
            return record
        }
        #expect(begun(TaskRequest(name: "x"), maximumAttempts: 1)?.maximumAttempts == 3)
        #expect(begun(TaskRequest(name: "x", maximumAttempts: 2), maximumAttempts: 2)?.maximumAttempts == 2)
        var second = begun(TaskRequest(name: "x", maximumAttempts: 2), maximumAttempts: 2)
        second?.retry(message: "", due: Timestamp(seconds: 101), at: Timestamp(seconds: 101))
        let decision = Admission.decide(
            delivered(TaskRequest(name: "x"), delivery: 3), record: second, now: Timestamp(seconds: 102))
        guard case .begin(let record, _) = decision else {
            Issue.record("\(decision)")
            return
        }
        #expect(record.maximumAttempts == 2)
    }

    @Test("a task that is due later is recorded as queued and comes back in time, within the longest delay")
    func eta() {
        let request = TaskRequest(name: "x", eta: Timestamp(seconds: 160))
        guard
            case .postpone(let queued?, let delay) = Admission.decide(
                delivered(request), record: nil, now: Timestamp(seconds: 100))
        else {
            Issue.record("not postponed")
            return
        }
        #expect(delay == .seconds(60))
        #expect(queued.state == .queued)
        #expect(
            Admission.decide(delivered(request), record: queued, now: Timestamp(seconds: 150))
                == .postpone(writing: nil, delay: .seconds(10)))
        guard case .begin = Admission.decide(delivered(request), record: queued, now: Timestamp(seconds: 160)) else {
            Issue.record("not begun when due")
            return
        }
        let far = TaskRequest(name: "x", eta: Timestamp(seconds: 9_000_000))
        guard
            case .postpone(_, Admission.longestDelay) = Admission.decide(
                delivered(far), record: nil, now: Timestamp(seconds: 100))
        else {
            Issue.record("a far task must be looked at again")
            return
        }
    }

    @Test("a task that has not begun when it expires is given up then, also one that waits for its time")
    func expiry() {
        let request = TaskRequest(name: "x", delay: .seconds(60), expires: .after(.seconds(40)))
        guard
            case .postpone(let queued?, .seconds(40)) = Admission.decide(
                delivered(request), record: nil, now: Timestamp(seconds: 100))
        else {
            Issue.record("not looked at again when it expires")
            return
        }
        for record in [queued, nil] {
            guard
                case .giveUp(let failed, let previous) = Admission.decide(
                    delivered(request), record: record, now: Timestamp(seconds: 140))
            else {
                Issue.record("not given up")
                continue
            }
            #expect(previous == record)
            #expect(failed.state == .failed)
            #expect(failed.message == "expired: it had not begun by 1970-01-01T00:02:20Z")
        }
        var begun = record()
        begun.begin(worker: "w1", streamSequence: 5, at: Timestamp(seconds: 101))
        begun.retry(message: "no", due: Timestamp(seconds: 130), at: Timestamp(seconds: 102))
        guard case .begin = Admission.decide(delivered(request), record: begun, now: Timestamp(seconds: 150)) else {
            Issue.record("an attempt has begun in time, so the others may follow")
            return
        }
    }

    @Test("a task whose worker was lost is taken over as the next attempt")
    func takeover() {
        var lost = record()
        lost.begin(worker: "w1", streamSequence: 5, at: Timestamp(seconds: 101))
        lost.report(progress: 70, message: nil, at: Timestamp(seconds: 102))
        guard
            case .begin(let next, replacing: lost) = Admission.decide(
                delivered(), record: lost, now: Timestamp(seconds: 120))
        else {
            Issue.record("not taken over")
            return
        }
        #expect(next.attempt == 2)
        #expect(next.sequence == 1)
        #expect(next.progress == 0)
        #expect(next.worker == "w2")
    }

    @Test("a task whose last attempt was lost is given up")
    func exhausted() {
        var lost = record(attempts: 1)
        lost.begin(worker: "w1", streamSequence: 5, at: Timestamp(seconds: 101))
        guard
            case .giveUp(let failed, replacing: lost) = Admission.decide(
                delivered(), record: lost, now: Timestamp(seconds: 120))
        else {
            Issue.record("not given up")
            return
        }
        #expect(failed.state == .failed)
        #expect(failed.status.supersedes(lost.status))
    }

    @Test("a task that is over is not run again, by whichever message it comes", arguments: [5, 6] as [UInt64])
    func finished(sequence: UInt64) {
        for finish in [0, 1, 2] {
            var done = record()
            switch finish {
            case 0: done.complete(result: 1, at: Timestamp(seconds: 101))
            case 1: done.fail(message: "no", at: Timestamp(seconds: 101))
            default: done.cancel(message: "stop", at: Timestamp(seconds: 101))
            }
            #expect(
                Admission.decide(delivered(sequence: sequence), record: done, now: Timestamp(seconds: 102))
                    == .finished(done))
        }
    }

    @Test("a second message of the same task waits for the first, unless that one is gone")
    func duplicate() {
        let queued = record()
        #expect(
            Admission.decide(delivered(sequence: 6), record: queued, now: Timestamp(seconds: 102)) == .duplicate(of: 5))
        guard
            case .begin(let next, _) = Admission.decide(
                delivered(sequence: 6), record: queued, other: .gone, now: Timestamp(seconds: 102))
        else {
            Issue.record("not begun")
            return
        }
        #expect(next.streamSequence == 6)
    }

    @Test("a delivery that a stopped worker reads late does not take the task from whoever got it since")
    func stale() {
        var running = record()
        running.begin(worker: "w1", streamSequence: 5, delivery: 3, at: Timestamp(seconds: 101))
        for late in 1...3 {
            let decision = Admission.decide(delivered(delivery: late), record: running, now: Timestamp(seconds: 120))
            #expect(decision == .stale)
        }
        guard case .begin = Admission.decide(delivered(delivery: 4), record: running, now: Timestamp(seconds: 120))
        else {
            Issue.record("not taken over")
            return
        }
    }

    @Test("a retry is not begun before its time")
    func retryTime() {
        var retrying = record()
        retrying.begin(worker: "w1", streamSequence: 5, at: Timestamp(seconds: 101))
        retrying.retry(message: "no", due: Timestamp(seconds: 110), at: Timestamp(seconds: 102))
        #expect(
            Admission.decide(delivered(), record: retrying, now: Timestamp(seconds: 104))
                == .postpone(writing: nil, delay: .seconds(6)))
    }
}

@Suite struct AttemptEndTests {
    private func running(attempts: Int = 2) -> TaskRecord {
        var running = record(attempts: attempts)
        running.begin(worker: "w1", streamSequence: 5, at: Timestamp(seconds: 101))
        return running
    }

    private func end(_ outcome: AttemptOutcome, of record: TaskRecord) -> AttemptEnd {
        AttemptEnd.decide(
            outcome, of: record, retrying: RetryPolicy(base: .seconds(4)), random: 0.5, now: Timestamp(seconds: 110))
    }

    @Test("a result completes the task")
    func completed() {
        let end = end(.completed(["n": 1]), of: running())
        #expect(end.record.state == .completed)
        #expect(end.record.result == ["n": 1])
        #expect(end.record.progress == 100)
        #expect(end.disposal == .acknowledge)
    }

    @Test("a failure is retried with jitter while attempts are left, then buried with its reason")
    func failed() {
        let first = end(.failed("boom"), of: running())
        #expect(first.record.state == .retrying)
        #expect(first.record.due == Timestamp(seconds: 112))
        #expect(first.disposal == .redeliver(after: .seconds(2)))
        var second = first.record
        second.begin(worker: "w1", streamSequence: 5, at: Timestamp(seconds: 112))
        let last = end(.failed("boom"), of: second)
        #expect(last.record.state == .failed)
        #expect(last.disposal == .bury(reason: "given up after 2 attempts: boom"))
        #expect(last.record.errors.count == 2)
    }

    @Test("a failure for good is not retried, and a time limit counts as a failure")
    func others() {
        #expect(end(.failedForGood("no such file"), of: running(attempts: 9)).disposal == .bury(reason: "no such file"))
        #expect(end(.timedOut(after: .seconds(30)), of: running()).record.state == .retrying)
        #expect(end(.timedOut(after: .seconds(30)), of: running(attempts: 1)).record.message?.contains("30s") == true)
    }

    @Test("a task that is handed back is delivered again at once")
    func handedBack() {
        let end = end(.handedBack("stopping"), of: running(attempts: 1))
        #expect(end.record.state == .retrying)
        #expect(end.record.hasAttemptsLeft)
        #expect(end.disposal == .redeliver(after: .zero))
    }
}
