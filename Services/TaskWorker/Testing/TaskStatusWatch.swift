internal import EventBus
internal import Events
internal import JSON
internal import Synchronization

/// Keeps what is told of all tasks, and lets tests wait for it.
final class TaskStatusWatch: Sendable {
    private struct Waiting {
        let task: TaskID
        let isWanted: @Sendable (TaskStatus) -> Bool
        let continuation: CheckedContinuation<TaskStatus, Never>
    }

    private struct State {
        var reports: [TaskID: [TaskStatus]] = [:]
        var waiting: [Waiting] = []
    }

    private let state = Mutex(State())

    func follow(_ messages: BusMessageSequence) async {
        for await message in messages {
            guard let status = (try? JSONValue(parsing: message.payload)).flatMap(TaskStatus.init(json:)) else {
                continue
            }
            let ready = state.withLock { state in
                state.reports[status.id, default: []].append(status)
                let ready = state.waiting.filter { $0.task == status.id && $0.isWanted(status) }
                state.waiting.removeAll { $0.task == status.id && $0.isWanted(status) }
                return ready
            }
            for one in ready { one.continuation.resume(returning: status) }
        }
    }

    func reports(of id: TaskID) -> [TaskStatus] { state.withLock { $0.reports[id] ?? [] } }

    func first(_ id: TaskID, _ isWanted: @escaping @Sendable (TaskStatus) -> Bool) async -> TaskStatus {
        await withCheckedContinuation { continuation in
            let found = state.withLock { state -> TaskStatus? in
                if let found = state.reports[id]?.first(where: isWanted) { return found }
                state.waiting.append(Waiting(task: id, isWanted: isWanted, continuation: continuation))
                return nil
            }
            if let found { continuation.resume(returning: found) }
        }
    }
}
