internal import CommandLineCore
internal import EventBus
internal import Events
internal import Foundation
internal import JSON

/// How a watched task ended, or how the watch did.
enum TaskOutcome: Sendable {
    case ended(TaskStatus, isCancelRequested: Bool)
    /// A second ctrl-C, or a cancelled task that does not end: it goes on without us.
    case left

    /// The exit status that it stands for.
    var exit: Int32 {
        switch self {
        case .ended(let status, let isCancelRequested):
            switch status.state {
            case .completed: 0
            case .cancelled where isCancelRequested: 130
            default: 1
            }
        case .left: 130
        }
    }
}

/// Follows one task to its end, through the channel that it reports on and, where that is silent, by asking.
struct TaskWatch: Sendable {
    let session: BusSession
    let id: TaskID
    let view: TaskView

    private enum Event: Sendable {
        case report(TaskStatus)
        case signal
        case tick
    }

    /// How long a cancelled task may take to end.
    private static let cancelTimeout = Duration.seconds(20)

    func untilEnd() async throws -> TaskOutcome {
        let interruption = Interruption()
        let messages = try session.bus.messages(on: session.subjects.channel(id.channel))
        try await session.bus.flush(timeout: .seconds(5))
        // Reports are at most a few a second, and the newest tells all.
        let (events, continuation) = AsyncStream<Event>.makeStream(bufferingPolicy: .bufferingNewest(256))
        return try await withThrowingTaskGroup(of: Void.self) { group in
            defer { group.cancelAll() }
            group.addTask {
                for await message in messages {
                    guard let value = try? JSONValue(parsing: message.payload), let status = TaskStatus(json: value)
                    else { continue }
                    continuation.yield(.report(status))
                }
            }
            group.addTask { for await _ in interruption.signals { continuation.yield(.signal) } }
            group.addTask {
                while !Task.isCancelled {
                    continuation.yield(.tick)
                    try await Task.sleep(for: .seconds(2))
                }
            }
            return try await follow(events)
        }
    }

    private func follow(_ events: AsyncStream<Event>) async throws -> TaskOutcome {
        var follower = TaskFollower()
        var cancelDeadline: ContinuousClock.Instant?
        let begin = ContinuousClock.now
        var isWaitTold = false
        for await event in events {
            var reports: [TaskStatus] = []
            switch event {
            case .report(let status): reports = [status]
            case .tick:
                // A report may be lost with a connection; the task's record is not.
                if let status = try await present() { reports = [status] }
                if let cancelDeadline, ContinuousClock.now > cancelDeadline {
                    view.note("the task does not end; it is left to itself (`apus task show \(id)`)")
                    return .left
                }
                if !isWaitTold, follower.latest.map({ $0.state == .queued }) ?? true,
                    ContinuousClock.now - begin > .seconds(5)
                {
                    isWaitTold = true
                    view.note("waiting for a worker to take it; ctrl-C cancels")
                }
            case .signal:
                guard cancelDeadline == nil else {
                    view.note("left to itself; `apus task show \(id)` tells how it goes")
                    return .left
                }
                cancelDeadline = ContinuousClock.now + TaskWatch.cancelTimeout
                view.note("cancelling; ctrl-C again leaves the task to itself")
                try await cancel()
            }
            for status in reports {
                switch follower.received(status) {
                case .ignore: break
                case .show(let status): view.show(status)
                case .finish(let status):
                    view.finish(status)
                    return .ended(status, isCancelRequested: cancelDeadline != nil)
                }
            }
        }
        throw CancellationError()
    }

    /// The task's present state; nil while nobody can tell.
    private func present() async throws -> TaskStatus? {
        do {
            let value = try await session.call(
                "tasks.get", ["task_id": .string(id.description)], of: TaskCommand.program)
            return TaskStatus(json: value)
        } catch is BusError {
            return nil
        } catch is ConnectionFailure {
            return nil
        } catch let error as RPCError where error.code == 404 || error.code >= 500 {
            return nil
        }
    }

    private func cancel() async throws {
        do {
            _ = try await session.call(
                "tasks.cancel", ["task_id": .string(id.description)], of: TaskCommand.program)
        } catch let error as RPCError where error.code == 409 || error.code == 404 {
            // It has just ended: its last report says how.
        }
    }
}
