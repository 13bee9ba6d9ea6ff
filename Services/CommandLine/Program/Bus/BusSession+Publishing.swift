internal import CommandLineCore
internal import EventBus

extension BusSession {
    /// Runs `operation` until it succeeds, for ten seconds at the most while its errors may pass, and says so once.
    func retrying(_ what: String, _ operation: () async throws -> Void) async throws {
        let deadline = ContinuousClock.now + .seconds(10)
        var delay = Duration.milliseconds(100)
        var isTold = false
        while true {
            do {
                return try await operation()
            } catch let error as BusError where error.isRetryable && ContinuousClock.now + delay < deadline {
                // Without JetStream no waiting helps.
                guard greeting.hasJetStream else { throw error }
                if !isTold { Console.standard.note("waiting for \(what): \(error.message)") }
                isTold = true
            }
            try await Task.sleep(for: delay)
            delay = min(delay * 2, .seconds(2))
        }
    }

    /// - Throws: ``Failure`` for a message that the server would refuse.
    func checkSize(_ payload: [UInt8]) throws {
        guard greeting.maximumPayload > 0, Int64(payload.count) > greeting.maximumPayload else { return }
        throw Failure(
            "the message has \(payload.count) bytes; this server takes \(greeting.maximumPayload): send less, "
                + "or raise max_payload in its configuration")
    }
}
