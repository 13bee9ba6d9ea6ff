/// The life of one program that `apus dev` runs: decides when to start it again, and how often, but does nothing itself.
public struct ChildMachine: Sendable {
    public enum State: Sendable, Equatable {
        case idle
        /// Runs; `since` is when it was started.
        case running(since: Duration)
        /// Ended by itself; starts again when the delay is over.
        case waiting
        /// Told to stop.
        case stopping
        case stopped
    }

    public enum Action: Sendable, Equatable {
        case doNothing
        case start
        /// It ended by itself: tell so, and start it after the delay.
        case restart(after: Duration)
        /// Send it SIGTERM.
        case terminate
    }

    /// The first delay, and the longest.
    public static let delays = (first: Duration.milliseconds(500), longest: Duration.seconds(15))
    /// A program that ran this long has recovered: the delays begin anew.
    public static let stableTime = Duration.seconds(30)

    public private(set) var state = State.idle
    public private(set) var restarts = 0
    private var delay = ChildMachine.delays.first

    public init() {}

    public var isRunning: Bool { if case .running = state { true } else { false } }

    /// Time is counted from any fixed moment.
    public mutating func started(now: Duration) {
        guard state == .idle || state == .waiting else { return }
        state = .running(since: now)
    }

    /// - Parameter exit: how it ended; a refused configuration is not tried again at once.
    public mutating func exited(_ exit: ChildExit, now: Duration) -> Action {
        switch state {
        case .running(let since):
            if now - since >= ChildMachine.stableTime { delay = ChildMachine.delays.first }
            if exit.isPermanent { delay = ChildMachine.delays.longest }
            let after = delay
            delay = min(delay * 2, ChildMachine.delays.longest)
            state = .waiting
            return .restart(after: after)
        case .stopping:
            state = .stopped
            return .doNothing
        case .idle, .waiting, .stopped: return .doNothing
        }
    }

    /// The delay that ``exited(_:now:)`` asked for is over.
    public mutating func delayPassed() -> Action {
        guard state == .waiting else { return .doNothing }
        restarts += 1
        return .start
    }

    public mutating func stopRequested() -> Action {
        switch state {
        case .running:
            state = .stopping
            return .terminate
        case .idle, .waiting:
            state = .stopped
            return .doNothing
        case .stopping, .stopped: return .doNothing
        }
    }
}

/// How a program ended.
public enum ChildExit: Sendable, Equatable, CustomStringConvertible {
    case status(Int32)
    case signal(Int32)

    /// From what `waitpid` gives.
    public init(waitStatus: Int32) {
        let signal = waitStatus & 0x7F
        self = signal == 0 ? .status((waitStatus >> 8) & 0xFF) : .signal(signal)
    }

    /// Starting it again changes nothing until somebody changes the configuration or the command line.
    public var isPermanent: Bool { self == .status(78) || self == .status(64) }

    public var description: String {
        switch self {
        case .status(78): "exit status 78: it refuses its configuration, see its lines above"
        case .status(127): "exit status 127: it could not be started"
        case .status(let status): "exit status \(status)"
        case .signal(let signal): "signal \(signal)\(ChildExit.names[signal].map { " (\($0))" } ?? "")"
        }
    }

    private static let names: [Int32: String] = [
        1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE",
        9: "SIGKILL", 11: "SIGSEGV", 13: "SIGPIPE", 15: "SIGTERM",
    ]
}
