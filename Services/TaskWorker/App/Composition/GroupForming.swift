internal import EventBus
internal import Events
internal import Logging
internal import ServiceLifecycle
internal import TaskWorkerCore

/// Puts the tasks of groups into their queues: at once for whoever asks, and later what a killed worker left undone.
struct GroupForming: Service {
    /// How long a group is left to the worker that was asked for it.
    static let patience = Duration.seconds(10)
    /// How many of a group's tasks are put into their queues at once.
    private static let width = 16

    let parts: WorkerParts

    /// Looks for groups that were left half formed or half cancelled.
    func run() async throws {
        await cancelWhenGracefulShutdown {
            while (try? await parts.clock.pause(for: GroupForming.patience)) != nil {
                do {
                    try await goOnForming()
                    try await goOnCancelling()
                } catch {
                    parts.logger.debug("groups could not be looked for", metadata: ["error": "\(error)"])
                }
            }
        }
    }

    private func goOnForming() async throws {
        for id in try await parts.store.formingGroups() {
            guard let (forming, since) = try await parts.store.forming(id), isLeft(since) else { continue }
            try await form(forming)
            parts.logger.notice("a group was formed that another worker had begun", metadata: ["group": "\(id)"])
        }
    }

    private func goOnCancelling() async throws {
        for (id, since) in try await parts.store.cancellingGroups() where isLeft(since) {
            _ = try await GroupCancellation(parts: parts).cancel(id)
            parts.logger.notice(
                "a group was cancelled that another worker had begun with", metadata: ["group": "\(id)"])
        }
    }

    private func isLeft(_ since: Timestamp) -> Bool { since.duration(to: parts.clock.now) >= GroupForming.patience }

    /// Doing it again puts nothing into a queue twice.
    func form(_ forming: TaskStore.FormingGroup) async throws {
        let (group, store) = (forming.group, parts.store)
        if try await store.group(group.id) == nil {
            do throws(BusError) {
                try await store.write(group, replacing: nil)
            } catch {
                guard error.code == .conflict else { throw error }
            }
        }
        let enqueuer = TaskEnqueuer(parts: parts)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for (index, request) in forming.tasks.enumerated() {
                if index >= GroupForming.width { try await tasks.next() }
                let member = group.request(index, request)
                tasks.addTask {
                    _ = try await enqueuer.enqueueOnce(member, group.taskID(index))
                }
            }
            try await tasks.waitForAll()
        }
        try await store.formed(group.id)
    }
}
