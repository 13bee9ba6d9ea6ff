internal import CommandLineCore
internal import Foundation
internal import JSON
internal import Synchronization

/// Standard output and standard error, as people or programs see them.
///
/// Everything goes out in whole lines, from any thread. A reader that has gone (`apus subscribe … | head -1`) ends the
/// program quietly, as it ends every other.
struct Console: Sendable {
    static let standard = Console(environment: ProcessInfo.processInfo.environment)

    let isTerminal: Bool
    /// For standard output.
    let styler: Styler
    let glyphs: ProgressBar.Glyphs
    private let errorStyler: Styler

    init(environment: [String: String]) {
        isTerminal = isatty(STDOUT_FILENO) == 1
        styler = Styler(isTerminal: isTerminal, environment: environment)
        errorStyler = Styler(isTerminal: isatty(STDERR_FILENO) == 1, environment: environment)
        glyphs = ProgressBar.Glyphs(environment: environment)
    }

    /// How wide the terminal is now.
    var columns: Int {
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }

    func line(_ text: String = "") { write(text + "\n", to: STDOUT_FILENO) }

    func line(_ value: JSONValue) { line(value.description) }

    /// Replaces the line that the cursor is in; only on a terminal.
    func redraw(_ text: String) { write("\r\u{1B}[2K" + text, to: STDOUT_FILENO) }

    /// Takes the redrawn line away.
    func clearLine() { write("\r\u{1B}[2K", to: STDOUT_FILENO) }

    /// Something beside the output, on standard error.
    func note(_ text: String) { write(text + "\n", to: STDERR_FILENO) }

    /// What went wrong, on standard error.
    func problem(_ text: String) { note(errorStyler("Error:", .red, .bold) + " " + text) }

    func warning(_ text: String) { note(errorStyler("Warning:", .yellow) + " " + text) }

    // MARK: Bytes

    private static let lock = Mutex(())

    private func write(_ text: String, to descriptor: Int32) {
        let bytes = Array(text.utf8)
        let failure: Int32 = Console.lock.withLock { _ in
            var written = 0
            while written < bytes.count {
                let count = bytes[written...].withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
                if count >= 0 {
                    written += count
                } else if errno == EAGAIN {
                    var pipe = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    _ = poll(&pipe, 1, 1000)
                } else if errno != EINTR {
                    return errno
                }
            }
            return 0
        }
        if failure == EPIPE, descriptor == STDOUT_FILENO { Console.endForLackOfReader() }
    }

    /// Whether nobody can read standard output any more.
    static var hasLostReader: Bool {
        var pipe = pollfd(fd: STDOUT_FILENO, events: 0, revents: 0)
        return poll(&pipe, 1, 0) == 1 && pipe.revents & Int16(POLLERR) != 0
    }

    /// Ends as a program does that writes into a pipe without a reader: by SIGPIPE, which libraries switch off.
    static func endForLackOfReader() -> Never {
        _ = signal(SIGPIPE, SIG_DFL)
        raise(SIGPIPE)
        exit(128 + SIGPIPE)
    }
}
