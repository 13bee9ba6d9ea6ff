internal import Logging
internal import Synchronization

/// Collects the addresses that a service listens on and logs them once, in one line, when all are known.
public final class StartupAnnouncement: Sendable {
    private struct State {
        var expected: Set<String>
        var facts: [String: String] = [:]
        var isAnnounced = false
    }

    private let state: Mutex<State>
    private let logger: Logger

    init(expecting: Set<String>, logger: Logger) {
        state = Mutex(State(expected: expecting))
        self.logger = logger
    }

    /// Makes the line wait for one more fact. Call it while the service is built.
    public func expect(_ fact: String) {
        state.withLock { _ = $0.expected.insert(fact) }
    }

    /// Tells a fact, such as `listen`.
    public func tell(_ fact: String, _ value: String) {
        let line: [String: String]? = state.withLock { state in
            state.facts[fact] = value
            guard !state.isAnnounced, state.expected.isSubset(of: state.facts.keys) else { return nil }
            state.isAnnounced = true
            return state.facts
        }
        guard let line else { return }
        logger.notice("started", metadata: line.mapValues { "\($0)" })
    }
}
