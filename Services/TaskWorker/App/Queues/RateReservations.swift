internal import EventBus
internal import Events
internal import JSON
internal import TaskWorkerCore

/// Gets slots for tasks that are limited in their rate from the schedule that all workers share. Those of this worker
/// that ask at the same time get theirs by one write.
actor RateReservations {
    private let queues: QueueStore
    private let clock: any BusClock
    private var waiting: [String: [CheckedContinuation<Result<Timestamp?, BusError>, Never>]] = [:]

    init(queues: QueueStore, clock: any BusClock) {
        self.queues = queues
        self.clock = clock
    }

    /// - Returns: when a task of this name may begin; nil if there are more before it than slots are given out for.
    func slot(_ name: String, rate: TaskRate) async throws(BusError) -> Timestamp? {
        let result = await withCheckedContinuation { continuation in
            waiting[name, default: []].append(continuation)
            // Whoever comes first asks for all who come until it has done so. Owned by those who wait for it.
            if waiting[name]?.count == 1 { Task { await reserve(name, rate) } }
        }
        return try result.get()
    }

    private func reserve(_ name: String, _ rate: TaskRate) async {
        let result: Result<[Timestamp], BusError>
        let asking: [CheckedContinuation<Result<Timestamp?, BusError>, Never>]
        do throws(BusError) {
            while true {
                let (schedule, revision) = try await queues.schedule(name)
                var next = schedule
                // Those who come while this is written ask for themselves.
                let count = waiting[name]?.count ?? 0
                let slots = next.reserve(count, rate: rate, now: clock.now)
                do throws(BusError) {
                    try await queues.write(next, of: name, replacing: revision)
                } catch  where error.code == .conflict {
                    continue
                }
                (asking, result) = (take(name, count), .success(slots))
                break
            }
        } catch {
            (asking, result) = (take(name, .max), .failure(error))
        }
        if waiting[name]?.isEmpty == false { Task { await reserve(name, rate) } }
        for (index, continuation) in asking.enumerated() {
            continuation.resume(returning: result.map { index < $0.count ? $0[index] : nil })
        }
    }

    private func take(
        _ name: String, _ count: Int
    ) -> [CheckedContinuation<Result<Timestamp?, BusError>, Never>] {
        guard let all = waiting[name] else { return [] }
        let rest = all.dropFirst(count)
        waiting[name] = rest.isEmpty ? nil : Array(rest)
        return Array(all.prefix(count))
    }
}
