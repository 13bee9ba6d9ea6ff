package import EventBus
package import Events
package import Logging
internal import Metrics
internal import Synchronization

/// Asks all gateways to do something with connections, or to say what they have, and does so for the others.
///
/// Thread-safe. ``run()`` must be running: it owns the work that others ask for.
package final class ControlService: Sendable {
    private struct State {
        var table: ControlTable
        var waiters: [String: CheckedContinuation<ControlTable.Answers, Never>] = [:]
        /// Those that were answered before anybody waited.
        var finished: [String: ControlTable.Answers] = [:]
    }

    private struct Work: Sendable {
        let id: String
        let node: String
        let question: ControlQuestion
    }

    private let bus: any EventBus
    private let subjects: Subjects
    private let node: String
    private let logger: Logger
    private let clock: @Sendable () -> Moment
    private let makeID: @Sendable () -> String
    /// Does what a question asks on this gateway.
    private let carryOut: @Sendable (ControlQuestion) async -> ControlAnswer
    private let state: Mutex<State>
    private let work: AsyncStream<Work>
    private let workContinuation: AsyncStream<Work>.Continuation
    private let unanswered = Counter(label: "apus_gateway_control_unanswered_total")
    private let refused = Counter(label: "apus_gateway_control_refused_total")

    /// How long the other gateways may take. One that is silent for longer is taken for dead or as good as that, and the
    /// answer is what the others did.
    package static let timeout = Duration.seconds(2)
    /// How many questions of others may wait here; those beyond are not answered.
    private static let maximumWork = 4096
    /// How many channels one message holds: names are 265 bytes at the most, and in JSON a byte may take six.
    private static let channelsPerMessage = 512

    package init(
        node: String, bus: any EventBus, subjects: Subjects, logger: Logger, clock: @escaping @Sendable () -> Moment,
        makeID: @escaping @Sendable () -> String,
        carryOut: @escaping @Sendable (ControlQuestion) async -> ControlAnswer
    ) {
        self.node = node
        self.bus = bus
        self.subjects = subjects
        self.logger = logger
        self.clock = clock
        self.makeID = makeID
        self.carryOut = carryOut
        state = Mutex(State(table: ControlTable(node: node)))
        (work, workContinuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(Self.maximumWork))
    }

    /// The other gateways that live.
    package var others: Set<String> { state.withLock { $0.table.others } }

    // MARK: Asking

    /// Has every gateway do it, this one included.
    ///
    /// Returns when all have answered, or after ``timeout``.
    /// - Returns: what each gateway answered.
    package func ask(_ question: ControlQuestion) async -> ControlTable.Answers {
        let id = makeID()
        state.withLock { $0.table.ask(id) }
        publish(.question(id: id, node: node, question), on: orders)
        return await withTaskGroup(of: ControlTable.Answers?.self) { group in
            group.addTask { [self] in
                let answer = await carryOut(question)
                take { $0.answered(id, answer) }
                return nil
            }
            group.addTask { [self] in
                try? await Task.sleep(for: Self.timeout)
                giveUp(id)
                return nil
            }
            group.addTask { [self] in await finished(id) }
            for await answers in group {
                guard let answers else { continue }
                group.cancelAll()
                return answers
            }
            return [:]
        }
    }

    private func finished(_ id: String) async -> ControlTable.Answers {
        await withCheckedContinuation { continuation in
            let answers = state.withLock { state -> ControlTable.Answers? in
                if let answers = state.finished.removeValue(forKey: id) { return answers }
                state.waiters[id] = continuation
                return nil
            }
            if let answers { continuation.resume(returning: answers) }
        }
    }

    private func giveUp(_ id: String) {
        guard let (answers, silent) = state.withLock({ $0.table.giveUp(id) }) else { return }
        if !silent.isEmpty {
            unanswered.increment(by: Int64(silent.count))
            logger.warning(
                "gateways did not answer in time",
                metadata: ["nodes": "\(silent.sorted().joined(separator: ","))"])
        }
        finish([id: answers])
    }

    private func finish(_ finished: [String: ControlTable.Answers]) {
        for (id, answers) in finished {
            let waiter = state.withLock { state -> CheckedContinuation<ControlTable.Answers, Never>? in
                if let waiter = state.waiters.removeValue(forKey: id) { return waiter }
                state.finished[id] = answers
                return nil
            }
            waiter?.resume(returning: answers)
        }
    }

    // MARK: Running

    private var orders: String { subjects.control("order") }
    private var answers: String { subjects.control("answer.\(node)") }

    /// Listens to the others, does what they ask and tells them that this gateway lives, until the task is cancelled.
    package func run() async throws {
        let listen: @Sendable (BusMessage) -> Void = { [self] message in
            guard let message = ControlCodec.decode(message.payload) else { return }
            take { $0.receive(message, now: clock()) }
        }
        let subscriptions = [
            try bus.subscribe(orders, onMessage: listen), try bus.subscribe(answers, onMessage: listen),
        ]
        defer { for subscription in subscriptions { subscription.cancel() } }
        publish(.alive(node: node, asks: true), on: orders)
        await withDiscardingTaskGroup { group in
            group.addTask { [self] in
                // In the order in which they were asked.
                for await item in work { await answer(item) }
            }
            while (try? await Task.sleep(for: untilNextHeartbeat)) != nil {
                publish(.alive(node: node, asks: false), on: orders)
                take { $0.expire(now: clock()) }
            }
            workContinuation.finish()
        }
        publish(.goodbye(node: node), on: orders)
    }

    private var untilNextHeartbeat: Duration {
        let now = clock()
        return now.duration(to: now.next(multipleOf: ControlTable.heartbeatInterval))
    }

    private func take(_ step: (inout ControlTable) -> ControlTable.Effect) {
        let effect = state.withLock { step(&$0.table) }
        if effect.saysAlive { publish(.alive(node: node, asks: false), on: orders) }
        if let (id, other, question) = effect.question {
            if case .dropped = workContinuation.yield(Work(id: id, node: other, question: question)) {
                refused.increment()
                logger.error("too many orders wait to be carried out", metadata: ["node": "\(other)"])
            }
        }
        finish(effect.finished)
    }

    private func answer(_ work: Work) async {
        let subject = subjects.control("answer.\(work.node)")
        let answer = await carryOut(work.question)
        guard case .channels(let channels) = answer, channels.count > Self.channelsPerMessage else {
            return publish(.answer(id: work.id, node: node, answer, isLast: true), on: subject)
        }
        var rest = Array(channels)[...]
        while !rest.isEmpty {
            let part = Dictionary(rest.prefix(Self.channelsPerMessage).map { ($0.key, $0.value) }) { first, _ in first }
            rest = rest.dropFirst(Self.channelsPerMessage)
            publish(.answer(id: work.id, node: node, .channels(part), isLast: rest.isEmpty), on: subject)
        }
    }

    /// What is lost is not repeated: whoever asked stops waiting after a while.
    private func publish(_ message: ControlMessage, on subject: String) {
        do throws(BusError) {
            try bus.publish(BusMessage(subject: subject, payload: ControlCodec.encode(message)))
        } catch {
            logger.warning("the other gateways were not told", metadata: ["error": "\(error)"])
        }
    }
}
