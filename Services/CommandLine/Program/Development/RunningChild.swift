internal import CommandLineCore
internal import Foundation
internal import Synchronization

/// A program that runs: hands on its lines and its end, from threads of its own.
final class RunningChild: Sendable {
    let process: pid_t
    /// Once its end was taken note of, the system may give its number to any other process.
    private let isOver = Mutex(false)

    /// - Parameters:
    ///   - onLine: called with each line that the program prints; while it blocks, so does the program.
    ///   - onExit: called once, after its last line unless programs of its own go on printing.
    init(
        _ started: ChildLaunch.Started, onLine: @escaping @Sendable (String) -> Void,
        onExit: @escaping @Sendable (ChildExit) -> Void
    ) {
        process = started.process
        let isRead = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            RunningChild.read(started.output, onLine)
            isRead.signal()
        }
        Thread.detachNewThread { [self] in
            let exit = awaitEnd()
            _ = isRead.wait(timeout: .now() + .milliseconds(500))
            onExit(exit)
        }
    }

    /// Sends a signal to the program, unless it has ended.
    func send(_ signal: Int32) {
        isOver.withLock { isOver in
            guard !isOver else { return }
            _ = kill(process, signal)
        }
    }

    /// Ends the program and those that it has started, which are in its process group.
    func killAll() {
        isOver.withLock { isOver in
            guard !isOver else { return }
            _ = kill(-process, SIGKILL)
            _ = kill(process, SIGKILL)
        }
    }

    private func awaitEnd() -> ChildExit {
        var information = siginfo_t()
        while waitid(P_PID, id_t(process), &information, WEXITED | WNOWAIT) < 0, errno == EINTR {}
        // Its number is its own until the next call, so no signal of ours can reach another process.
        return isOver.withLock { isOver in
            isOver = true
            var status: Int32 = 0
            while waitpid(process, &status, 0) < 0, errno == EINTR {}
            return ChildExit(waitStatus: status)
        }
    }

    private static func read(_ descriptor: Int32, _ onLine: (String) -> Void) {
        var splitter = LineSplitter()
        var buffer = [UInt8](repeating: 0, count: 16 * 1024)
        while true {
            let count = Foundation.read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            for line in splitter.append(buffer[..<count]) { onLine(line) }
        }
        if let line = splitter.finish() { onLine(line) }
        close(descriptor)
    }
}
