/// How long a step that failed is tried again before its event is put off.
package struct RetryPolicy: Sendable {
    /// How often a step is tried while the bus is there and asks for patience: timeouts, a stream that is missing or full.
    package var attempts: Int
    /// How often a step is tried that fails for another reason, before its event goes to the dead letters.
    package var hopelessAttempts: Int
    /// After this many deliveries an event goes to the dead letters: either it was put off each time, or the
    /// process died over it.
    package var deliveries: Int
    package var firstDelay: Duration
    package var longestDelay: Duration

    package init(
        attempts: Int = 8, hopelessAttempts: Int = 4, deliveries: Int = 20,
        firstDelay: Duration = .milliseconds(50), longestDelay: Duration = .seconds(5)
    ) {
        self.attempts = attempts
        self.hopelessAttempts = hopelessAttempts
        self.deliveries = deliveries
        self.firstDelay = firstDelay
        self.longestDelay = longestDelay
    }

    /// The wait after so many failures in a row.
    func delay(afterFailures failures: Int) -> Duration {
        min(firstDelay * (1 << min(max(failures - 1, 0), 20)), longestDelay)
    }

    /// When an event that was put off is delivered again.
    func redelivery(afterAttempt attempt: Int) -> Duration {
        min(longestDelay * max(attempt, 1), max(longestDelay, .seconds(60)))
    }
}
