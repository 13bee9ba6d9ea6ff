internal import Foundation
internal import Synchronization

/// The one thread that starts programs. It lives as long as this process: see ``ChildLaunch/start(_:_:)``.
final class LaunchThread: Sendable {
    private let jobs = Mutex<[@Sendable () -> Void]>([])
    private let wake = DispatchSemaphore(value: 0)

    init() {
        Thread.detachNewThread { [self] in
            while true {
                wake.wait()
                let job = jobs.withLock { $0.isEmpty ? nil : $0.removeFirst() }
                job?()
            }
        }
    }

    func start(_ program: String, _ arguments: [String]) async throws -> ChildLaunch.Started {
        try await withCheckedThrowingContinuation { continuation in
            jobs.withLock {
                $0.append { continuation.resume(with: Result { try ChildLaunch.start(program, arguments) }) }
            }
            wake.signal()
        }
    }
}
