internal import Foundation

/// A thread of its own for what blocks: files, processes. Swift's pool, which has a thread per core, never waits for it.
enum DedicatedThread {
    /// Runs `body` on a new thread and waits for it. Cancelling the waiting task does not end `body`: it looks itself
    /// whether it is to go on.
    static func run<Value: Sendable>(
        named name: String, _ body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            let thread = Thread { continuation.resume(with: Result(catching: body)) }
            thread.name = name
            thread.start()
        }
    }
}
