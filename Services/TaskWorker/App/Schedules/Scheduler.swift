internal import EventBus
internal import Events
internal import JSON
internal import Logging
internal import Metrics
internal import ServiceLifecycle
internal import TaskWorkerCore

/// Submits the tasks of the schedules when it is time. Every worker has one, and each firing is one task all the same: its
/// id follows from the schedule's name and the moment, and only when it is in its queue the schedule's state goes on, by
/// compare-and-set. A worker that is killed in between is followed by another that finds the task there.
struct Scheduler: Service {
    /// The longest that the clock is not looked at, since it may be set.
    private static let longestPause = Duration.seconds(30)
    private static let retryPause = Duration.milliseconds(500)

    let schedules: [ScheduleDefinition]
    let parts: WorkerParts

    func run() async throws {
        guard !schedules.isEmpty else { return }
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                let pause: Duration
                do {
                    pause = try await fireDue()
                } catch {
                    parts.logger.debug("schedules could not be looked at", metadata: ["error": "\(error)"])
                    pause = Scheduler.retryPause
                }
                try? await parts.clock.pause(for: pause)
            }
        }
    }

    /// - Returns: when to look again.
    private func fireDue() async throws -> Duration {
        let book = try await book()
        var pause = Scheduler.longestPause
        for schedule in schedules {
            let state = try await advance(schedule, in: book)
            let now = parts.clock.now
            guard let next = schedule.firings.next(after: max(state.through, now)) else { continue }
            pause = min(pause, max(.zero, now.duration(to: next)))
        }
        return pause
    }

    private func book() async throws(BusError) -> ScheduleBook {
        ScheduleBook(bucket: try await parts.bus.keyValue(ScheduleBook.specification(parts.subjects)))
    }

    /// Submits what is due of one schedule.
    private func advance(_ schedule: ScheduleDefinition, in book: ScheduleBook) async throws -> ScheduleState {
        while true {
            let (found, revision) = try await book.state(of: schedule)
            let now = parts.clock.now
            let next: ScheduleState
            var skipped = 0
            if let found {
                guard let plan = found.plan(schedule, now: now) else { return found }
                for firing in plan.firings {
                    let task = schedule.task(at: firing)
                    guard let id = task.id else { continue }
                    _ = try await TaskEnqueuer(parts: parts).enqueueOnce(task, id)
                }
                (next, skipped) = (plan.next, plan.skipped)
            } else {
                next = ScheduleState(beginningAt: now)
            }
            do throws(BusError) {
                try await book.write(next, of: schedule, replacing: revision)
            } catch {
                // Another worker was faster, or the answer was lost: what is there now decides.
                guard error.code == .conflict else { throw error }
                continue
            }
            if skipped > 0 {
                Counter(label: "apus_schedule_firings_skipped_total", dimensions: [("schedule", schedule.name)])
                    .increment(by: skipped)
                parts.logger.notice(
                    "firings of a schedule were missed and are left out",
                    metadata: ["schedule": "\(schedule.name)", "firings": "\(skipped)"])
            }
            return next
        }
    }

    // MARK: The list

    /// `schedules.list`: what this worker's configuration has, with the last and the next firing of each.
    func list(_ call: RPCRequest) async throws -> JSONValue {
        guard try TaskAccess(call.caller) == .all else {
            throw RPCError(403, "schedules are for administrators: connect with the role admin")
        }
        var list: [JSONValue] = []
        let book = schedules.isEmpty ? nil : try await book()
        for schedule in schedules {
            let state = try await book?.state(of: schedule).state
            let next = schedule.firings.next(after: max(state?.through ?? parts.clock.now, parts.clock.now))
            list.append(
                [
                    "name": .string(schedule.name), "cron": .string(schedule.firings.line.description),
                    "timezone": .string(schedule.firings.zone.name), "task": .string(schedule.request.name),
                    "queue": .string(schedule.request.queue), "missed": .string(schedule.missed.rawValue),
                    "next": next.map { .string($0.description) } ?? .null,
                    "last": state?.last.map { .string($0.description) } ?? .null,
                ])
        }
        return ["schedules": .array(list)]
    }
}
