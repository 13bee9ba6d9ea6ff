internal import EventBus

extension BusClock {
    /// Waits for `duration`.
    /// - Throws: `CancellationError` as soon as the calling task is cancelled.
    func pause(for duration: Duration) async throws {
        let (wake, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let takeBack = schedule(after: duration) { continuation.finish() }
        defer { takeBack() }
        for await _ in wake {}
        try Task.checkCancellation()
    }

    /// Runs `operation` until it succeeds, while its error may pass and `isWorthwhile` says so; at least once.
    func persist<Value: Sendable>(
        while isWorthwhile: @Sendable () -> Bool = { true },
        _ operation: @Sendable () async throws(BusError) -> Value
    ) async throws -> Value {
        var delay = Duration.milliseconds(50)
        while true {
            do throws(BusError) {
                return try await operation()
            } catch {
                guard error.isRetryable, isWorthwhile(), !Task.isCancelled else { throw error }
            }
            try await pause(for: delay)
            delay = min(delay * 2, .seconds(2))
        }
    }
}
