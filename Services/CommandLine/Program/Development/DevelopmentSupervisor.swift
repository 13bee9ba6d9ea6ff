internal import CommandLineCore
internal import Foundation
internal import JSON
internal import ServiceKit

/// Something that happened to the programs of `apus dev`. `life` counts a program's starts, so that what is told of an
/// earlier one can be known as such.
enum DevelopmentEvent: Sendable {
    case interrupted
    /// The program has named its admin address.
    case announced(program: Int, life: Int, StartupLine)
    case ready(program: Int, life: Int)
    /// It takes long; `reason` is what it waits for, if it says.
    case slow(program: Int, life: Int, reason: String)
    case exited(program: Int, life: Int, ChildExit)
    case delayPassed(program: Int, life: Int)
    /// Those that were told to stop have had their time.
    case patienceEnded(DevelopmentPhase)
}

/// How far `apus dev` is.
enum DevelopmentPhase: Sendable {
    case starting
    case running
    /// The services have been told to stop; the server, which they need for that, has not.
    case stoppingServices
    case stoppingServer
}

/// Keeps the programs running, and stops them in the end. Used by one task, event by event.
struct DevelopmentSupervisor {
    private struct Child {
        let program: DevelopmentPlan.Program
        let isServer: Bool
        var machine = ChildMachine()
        var running: RunningChild?
        var life = 0
        var isReady = false
        var admin: String?
    }

    /// How long programs may take to stop, twice: the services, then the server. Longer than their own limit.
    private static let patience = Duration.seconds(8)

    private let plan: DevelopmentPlan
    private let log: DevelopmentLog
    private let events: AsyncStream<DevelopmentEvent>.Continuation
    private let onChange: (DevelopmentSession) throws -> Void
    private let onFirstReady: () -> Void
    private let launcher = LaunchThread()
    private let begin = ContinuousClock.now
    private var children: [Child]
    private var phase = DevelopmentPhase.starting

    typealias Work = ThrowingDiscardingTaskGroup<any Error>

    /// - Parameters:
    ///   - onChange: called whenever a program has become ready, with where all of them are.
    ///   - onFirstReady: called once all are ready for the first time.
    init(
        plan: DevelopmentPlan, log: DevelopmentLog, events: AsyncStream<DevelopmentEvent>.Continuation,
        onChange: @escaping (DevelopmentSession) throws -> Void, onFirstReady: @escaping () -> Void
    ) {
        self.plan = plan
        self.log = log
        self.events = events
        self.onChange = onChange
        self.onFirstReady = onFirstReady
        children =
            (plan.server.map { [Child(program: $0, isServer: true)] } ?? [])
            + plan.services.map { Child(program: $0, isServer: false) }
    }

    private var now: Duration { ContinuousClock.now - begin }

    /// Starts the server, or the services if there is a server already.
    mutating func begin(_ work: inout Work) async throws {
        if let server = children.firstIndex(where: \.isServer) {
            try await start(server, &work)
        } else {
            log.tell("using NATS at \(ServerAddress(plan.natsURL)?.description ?? "the given address")")
            try await startServices(&work)
        }
    }

    /// - Returns: false when all is over.
    /// - Throws: ``Failure`` when it must end otherwise than by a first ctrl-C.
    mutating func handle(_ event: DevelopmentEvent, _ work: inout Work) async throws -> Bool {
        switch event {
        case .interrupted: return try interrupted(&work)
        case .patienceEnded(let stage): if stage == phase { killRemaining() }
        case .announced(let index, let life, let line):
            guard children[index].life == life else { break }
            children[index].admin = line.admin
            watchReadiness(index, line.admin, &work)
        case .ready(let index, let life):
            if children[index].life == life { try await becameReady(index, &work) }
        case .slow(let index, let life, let reason):
            guard children[index].life == life, !children[index].isReady, children[index].machine.isRunning else {
                break
            }
            log.tell("waiting for \(children[index].program.label)\(reason.isEmpty ? "" : ": \(reason)")")
        case .exited(let index, let life, let exit):
            if children[index].life == life { return try exited(index, exit, &work) }
        case .delayPassed(let index, let life):
            guard children[index].life == life, children[index].machine.delayPassed() == .start else { break }
            try await start(index, &work)
        }
        return true
    }

    // MARK: Starting

    private mutating func startServices(_ work: inout Work) async throws {
        for index in children.indices where !children[index].isServer { try await start(index, &work) }
    }

    private mutating func start(_ index: Int, _ work: inout Work) async throws {
        let program = children[index].program
        let started = try await launcher.start(program.path, program.arguments)
        children[index].life += 1
        children[index].isReady = false
        children[index].admin = nil
        children[index].machine.started(now: now)
        let (life, isServer, log, events) = (children[index].life, children[index].isServer, log, events)
        log.tell("started \(program.label) (process \(started.process))")
        children[index].running = RunningChild(started) { line in
            if !isServer, let line = StartupLine(line) {
                events.yield(.announced(program: index, life: life, line))
            }
            if !isServer || ServerLogFilter.shows(line) { log.line(line, of: program.label) }
        } onExit: { exit in
            events.yield(.exited(program: index, life: life, exit))
        }
        if isServer {
            watchServer(index, &work)
        } else {
            remind(index, after: .seconds(20), &work)
        }
    }

    /// Says it when the program has not even named its address after a while.
    private func remind(_ index: Int, after delay: Duration, _ work: inout Work) {
        let (life, events) = (children[index].life, events)
        work.addTask {
            try? await Task.sleep(for: delay)
            guard !Task.isCancelled else { return }
            events.yield(.slow(program: index, life: life, reason: ""))
        }
    }

    private func watchServer(_ index: Int, _ work: inout Work) {
        guard let address = ServerAddress(plan.natsURL) else { return }
        let (life, events) = (children[index].life, events)
        work.addTask {
            var attempts = 0
            while !Task.isCancelled {
                if let greeting = try? await SocketProbe.greeting(of: address), greeting.hasJetStream {
                    events.yield(.ready(program: index, life: life))
                    return
                }
                attempts += 1
                if attempts % 100 == 0 { events.yield(.slow(program: index, life: life, reason: "it does not answer")) }
                try? await Task.sleep(for: .milliseconds(100))
            }
        }
    }

    private func watchReadiness(_ index: Int, _ admin: String, _ work: inout Work) {
        guard let address = ListenAddress(admin) else { return }
        let (life, events) = (children[index].life, events)
        work.addTask {
            var attempts = 0
            while !Task.isCancelled {
                let answer = try? await SocketProbe.get("/ready", host: address.host, port: address.port)
                if answer?.status == 200 {
                    events.yield(.ready(program: index, life: life))
                    return
                }
                // A program that has ended is not waited for: its next life is watched anew.
                guard answer != nil else { return }
                attempts += 1
                if attempts % 50 == 0 {
                    let reason = answer.flatMap { try? JSONValue(parsing: $0.body) }?["conditions"]?.description ?? ""
                    events.yield(.slow(program: index, life: life, reason: reason))
                }
                try? await Task.sleep(for: .milliseconds(200))
            }
        }
    }

    private mutating func becameReady(_ index: Int, _ work: inout Work) async throws {
        guard children[index].machine.isRunning, !children[index].isReady else { return }
        children[index].isReady = true
        let isFirstServerStart = children[index].isServer && phase == .starting && children[index].life == 1
        try tellSession()
        if isFirstServerStart {
            log.tell("nats-server listens on \(plan.natsURL)")
            return try await startServices(&work)
        }
        if phase == .running { log.tell("\(children[index].program.label) is ready again") }
        if phase == .starting, children.allSatisfy(\.isReady) {
            phase = .running
            onFirstReady()
        }
    }

    /// Other commands find the system by this, also while parts of it are still starting.
    private func tellSession() throws {
        var session = DevelopmentSession(process: getpid(), natsURL: plan.natsURL, page: plan.page)
        for child in children where child.isReady { session.adminAddresses[child.program.label] = child.admin }
        try onChange(session)
    }

    // MARK: Ending

    private mutating func exited(_ index: Int, _ exit: ChildExit, _ work: inout Work) throws -> Bool {
        let label = children[index].program.label
        let wasReady = children[index].isReady
        children[index].running = nil
        children[index].isReady = false
        switch children[index].machine.exited(exit, now: now) {
        case .restart(let delay):
            if children[index].isServer, !wasReady, phase == .starting, children[index].life == 1 {
                throw Failure("nats-server does not start (\(exit)): see its lines above")
            }
            log.tell("\(label) ended by itself (\(exit)); starting it again in \(DurationDisplay.text(delay))")
            let (life, events) = (children[index].life, events)
            work.addTask {
                try? await Task.sleep(for: delay)
                guard !Task.isCancelled else { return }
                events.yield(.delayPassed(program: index, life: life))
            }
        case .doNothing, .start, .terminate:
            // nats-server ends with status 1 when it is told to.
            let isUsual = exit == .status(0) || children[index].isServer
            log.tell("stopped \(label)\(isUsual ? "" : " (\(exit))")")
        }
        return continueStopping(&work)
    }

    private mutating func interrupted(_ work: inout Work) throws -> Bool {
        switch phase {
        case .starting, .running:
            phase = .stoppingServices
            log.tell("stopping; ctrl-C again stops at once")
            for index in children.indices.reversed() where !children[index].isServer { stop(index) }
            waitPatiently(&work)
            return continueStopping(&work)
        case .stoppingServices, .stoppingServer:
            for child in children { child.running?.killAll() }
            throw Failure("stopped at once", exit: .interrupted)
        }
    }

    private mutating func stop(_ index: Int) {
        if children[index].machine.stopRequested() == .terminate { children[index].running?.send(SIGTERM) }
    }

    /// - Returns: false when nothing runs any more.
    private mutating func continueStopping(_ work: inout Work) -> Bool {
        let runs = children.map { $0.running != nil }
        switch phase {
        case .starting, .running: return true
        case .stoppingServices:
            guard !zip(children, runs).contains(where: { !$0.isServer && $1 }) else { return true }
            phase = .stoppingServer
            for index in children.indices where children[index].isServer { stop(index) }
            waitPatiently(&work)
            return runs.contains(true)
        case .stoppingServer: return runs.contains(true)
        }
    }

    private func waitPatiently(_ work: inout Work) {
        let (events, phase) = (events, phase)
        work.addTask {
            try? await Task.sleep(for: DevelopmentSupervisor.patience)
            if !Task.isCancelled { events.yield(.patienceEnded(phase)) }
        }
    }

    private mutating func killRemaining() {
        for child in children where child.running != nil && child.machine.state == .stopping {
            log.tell(
                "\(child.program.label) did not stop in \(DurationDisplay.text(DevelopmentSupervisor.patience)): killed"
            )
            child.running?.killAll()
        }
    }
}
