internal import Dispatch
internal import Foundation

/// Takes SIGINT, SIGTERM and SIGHUP from the system while it is kept, so that a command can end in its own way.
final class Interruption: Sendable {
    /// The signals in the order in which they arrive. For one reader.
    let signals: AsyncStream<Int32>
    // Only kept and cancelled, both of which are safe from any thread.
    private nonisolated(unsafe) let sources: [any DispatchSourceSignal]

    init(_ numbers: [Int32] = [SIGINT, SIGTERM, SIGHUP]) {
        let (signals, continuation) = AsyncStream<Int32>.makeStream(bufferingPolicy: .bufferingOldest(8))
        self.signals = signals
        sources = numbers.map { number in
            // The default action would end the process before the source sees the signal.
            _ = signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { continuation.yield(number) }
            source.resume()
            return source
        }
    }

    deinit {
        for source in sources {
            source.cancel()
            _ = signal(Int32(source.handle), SIG_DFL)
        }
    }

    /// Runs `body` until it returns or a signal comes, which cancels it.
    /// - Returns: nil after a signal.
    static func until<Result: Sendable>(
        _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result? {
        let interruption = Interruption()
        return try await withThrowingTaskGroup(of: Result?.self) { group in
            group.addTask { try await body() }
            group.addTask {
                for await _ in interruption.signals { break }
                return nil
            }
            defer { group.cancelAll() }
            do {
                return try await group.next() ?? nil
            } catch is CancellationError {
                return nil
            }
        }
    }
}
