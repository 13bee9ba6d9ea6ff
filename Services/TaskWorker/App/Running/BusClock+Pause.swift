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
        try await repeatedly(while: isWorthwhile) { (_) async throws(BusError) in try await operation() }
    }

    /// As ``persist(while:_:)``, for what is done otherwise after a failure that leaves open whether it was done.
    /// - Parameter operation: gets whether it is called again.
    func repeatedly<Value: Sendable>(
        while isWorthwhile: @Sendable () -> Bool = { true },
        _ operation: @Sendable (_ isRepeated: Bool) async throws(BusError) -> Value
    ) async throws -> Value {
        var delay = Duration.milliseconds(50)
        var isRepeated = false
        while true {
            do throws(BusError) {
                return try await operation(isRepeated)
            } catch {
                guard error.isRetryable, isWorthwhile(), !Task.isCancelled else { throw error }
            }
            isRepeated = true
            try await pause(for: delay)
            delay = min(delay * 2, .seconds(2))
        }
    }
}
