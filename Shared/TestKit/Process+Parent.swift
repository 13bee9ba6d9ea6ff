public import Foundation
internal import Synchronization

extension Process {
    /// Runs the program so that it ends with this process, however that ends: a test that crashes, or is killed, leaves
    /// nothing behind.
    ///
    /// The kernel sends it SIGKILL then, which `setpriv` asks for before it becomes the program; where there is no
    /// `setpriv` (it comes with util-linux), this is `run()`.
    public func runWithParent() throws {
        if let setpriv = Process.setpriv, let executable = executableURL {
            arguments = ["--pdeathsig", "KILL", executable.path] + (arguments ?? [])
            executableURL = setpriv
        }
        try LaunchThread.shared.run { try self.run() }
    }

    private static let setpriv = ["/usr/bin/setpriv", "/bin/setpriv"]
        .first { FileManager.default.isExecutableFile(atPath: $0) }.map { URL(fileURLWithPath: $0) }
}

/// The one thread that starts programs. It never ends: to the kernel, a program's parent is the thread that started it,
/// and those of Swift's pool come and go.
private final class LaunchThread: Sendable {
    static let shared = LaunchThread()

    private let jobs = Mutex<[@Sendable () -> Void]>([])
    private let wake = DispatchSemaphore(value: 0)

    private init() {
        Thread.detachNewThread { [self] in
            while true {
                wake.wait()
                let job = jobs.withLock { $0.removeFirst() }
                job()
            }
        }
    }

    /// Returns when the job is done.
    func run(_ job: @escaping @Sendable () throws -> Void) throws {
        let result = Mutex<Result<Void, any Error>>(.success(()))
        let done = DispatchSemaphore(value: 0)
        jobs.withLock { jobs in
            jobs.append {
                let outcome = Result { try job() }
                result.withLock { $0 = outcome }
                done.signal()
            }
        }
        wake.signal()
        done.wait()
        try result.withLock { try $0.get() }
    }
}
