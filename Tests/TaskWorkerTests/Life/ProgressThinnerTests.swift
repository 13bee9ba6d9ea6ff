import TaskWorkerCore
import Testing

@Suite struct ProgressThinnerTests {
    @Test("a hundred thousand reports in a second become at most eleven, and the last one is among them")
    func burst() {
        var thinner = ProgressThinner()
        var sent: [ProgressThinner.Report] = []
        for step in 1...100_000 {
            thinner.offer(progress: Double(step) / 1000, message: nil)
            if case .send(let report) = thinner.next(now: .microseconds(step * 10)) { sent.append(report) }
        }
        if let rest = thinner.flush() { sent.append(rest) }
        #expect((2...12).contains(sent.count))
        #expect(sent.last?.progress == 100)
        #expect(zip(sent, sent.dropFirst()).allSatisfy { $0.progress < $1.progress })
    }

    @Test("a report that came too early is given when its time has come")
    func heldBack() {
        var thinner = ProgressThinner()
        thinner.offer(progress: 1, message: nil)
        #expect(thinner.next(now: .zero) == .send(.init(progress: 1)))
        thinner.offer(progress: 2, message: nil)
        #expect(thinner.next(now: .milliseconds(30)) == .wait(.milliseconds(70)))
        #expect(thinner.next(now: .milliseconds(100)) == .send(.init(progress: 2)))
        #expect(thinner.next(now: .milliseconds(300)) == .idle)
        #expect(thinner.flush() == nil)
    }

    @Test("less than a percent waits for a second, a new message does not")
    func news() {
        var thinner = ProgressThinner()
        thinner.offer(progress: 1, message: "a")
        _ = thinner.next(now: .zero)
        thinner.offer(progress: 1.5, message: "a")
        #expect(thinner.next(now: .milliseconds(200)) == .wait(.milliseconds(800)))
        thinner.offer(progress: 1.5, message: "b")
        #expect(thinner.next(now: .milliseconds(200)) == .send(.init(progress: 1.5, message: "b")))
    }

    @Test("progress never falls and stays within its bounds")
    func monotonic() {
        var thinner = ProgressThinner(interval: .zero)
        for (value, expected) in [(50, 50), (20, 50), (500, 100), (-3, 100), (.nan, 100)] as [(Double, Double)] {
            thinner.offer(progress: value, message: nil)
            let action = thinner.next(now: .seconds(10))
            if case .send(let report) = action { #expect(report.progress == expected) }
        }
        #expect(thinner.flush() == nil)
    }

    @Test("nothing reported, nothing sent")
    func idle() {
        var thinner = ProgressThinner()
        #expect(thinner.next(now: .zero) == .idle)
        #expect(thinner.flush() == nil)
    }
}
