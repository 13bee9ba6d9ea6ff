internal import EventBus
internal import Events
internal import JSON
internal import TaskWorkerCore

/// The states of the schedules, in a bucket that forgets nothing: a yearly one waits longer than tasks are remembered.
struct ScheduleBook: Sendable {
    let bucket: any KeyValueBucket

    static func specification(_ subjects: Subjects) -> BucketSpecification {
        BucketSpecification(name: subjects.bucket("schedules"))
    }

    /// - Returns: no state if there is none, or none that can be read.
    func state(of schedule: ScheduleDefinition) async throws(BusError) -> (state: ScheduleState?, revision: UInt64?) {
        guard let entry = try await bucket.get(schedule.key) else { return (nil, nil) }
        return ((try? JSONValue(parsing: entry.value)).flatMap(ScheduleState.init(json:)), entry.revision)
    }

    func write(
        _ state: ScheduleState, of schedule: ScheduleDefinition, replacing revision: UInt64?
    ) async throws(BusError) {
        try await bucket.update(schedule.key, state.json.serialized(), revision: revision)
    }
}
