/// Lets through as much progress as anybody can look at, however fast it is reported.
///
/// A report is passed on when its whole percent or its message differs from the last one's, or when it differs at all
/// and a second has passed; never sooner than ``interval`` after the last. The last one is never left out: what was held
/// back is given at the latest by ``flush()``.
package struct ProgressThinner: Sendable {
    package struct Report: Sendable, Hashable {
        /// 0 to 100.
        package var progress: Double
        package var message: String?

        package init(progress: Double, message: String? = nil) {
            self.progress = progress
            self.message = message
        }
    }

    /// What to do now.
    package enum Action: Sendable, Hashable {
        case send(Report)
        /// Ask again after so long.
        case wait(Duration)
        /// Ask again after the next report.
        case idle
    }

    package let interval: Duration
    private static let quietInterval = Duration.seconds(1)

    private var latest: Report?
    private var sent: Report?
    private var sentAt: Duration?

    package init(interval: Duration = .milliseconds(100)) { self.interval = interval }

    /// Takes a report. Progress never falls: less than before counts as before.
    package mutating func offer(progress: Double, message: String?) {
        let before = latest ?? sent
        latest = Report(
            progress: max(before?.progress ?? 0, TaskRecord.percent(progress)), message: message ?? before?.message)
    }

    /// - Parameter now: the time that has passed since any fixed moment.
    package mutating func next(now: Duration) -> Action {
        guard let latest, latest != sent else {
            self.latest = nil
            return .idle
        }
        guard let sent, let sentAt else { return .send(mark(latest, at: now)) }
        let isNews = latest.progress.rounded(.down) != sent.progress.rounded(.down) || latest.message != sent.message
        let elapsed = now - sentAt
        let pause = isNews ? interval : max(interval, ProgressThinner.quietInterval)
        return elapsed >= pause ? .send(mark(latest, at: now)) : .wait(pause - elapsed)
    }

    /// Whether there is anything that has not been passed on yet.
    package var isWaiting: Bool { latest.map { $0 != sent } ?? false }

    /// What has not been passed on yet; nil if nothing.
    package mutating func flush() -> Report? {
        defer { latest = nil }
        guard let latest, latest != sent else { return nil }
        sent = latest
        return latest
    }

    private mutating func mark(_ report: Report, at now: Duration) -> Report {
        sent = report
        sentAt = now
        latest = nil
        return report
    }
}
