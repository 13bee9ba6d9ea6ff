internal import EventBus
internal import Events
internal import TaskWorkerCore

/// Keeps an attempt's lease while it runs, and learns what became of the task meanwhile.
///
/// Thrice per lease the bus is asked to wait longer for this delivery. Its answer alone does not prove that the task is
/// still ours (a server answers for a message that it has meanwhile given to somebody else too), so the record is
/// looked at as well: another attempt or a final state there ends this one.
struct LeaseKeeper: Sendable {
    let attempt: RunningAttempt
    let delivery: Delivery
    let key: (user: String?, id: TaskID)
    let parts: WorkerParts

    /// Returns when its task is cancelled or the attempt is stopped.
    func run() async {
        let interval = parts.lease / 3
        var delay = interval
        while attempt.stopReason == nil {
            guard (try? await parts.clock.pause(for: delay)) != nil else { return }
            let asked = parts.clock.now
            // Once it has run out, asking for more proves nothing; the plan for its end stops the attempt.
            guard attempt.holdsLease else { return attempt.stop(.leaseLost) }
            do throws(BusError) {
                try await delivery.extend()
                attempt.renewed(until: asked.advanced(by: parts.lease))
                try await look()
                delay = interval
            } catch {
                delay = min(interval, .milliseconds(250))
            }
        }
    }

    /// Looks what the record says.
    func look() async throws(BusError) {
        let record = try await parts.store.slot(user: key.user, id: key.id).record
        guard let record, record.attempt == attempt.number else {
            // Without a record there is nobody to have taken over; the next write makes it anew.
            return record == nil ? () : attempt.stop(.superseded)
        }
        if record.state.isFinal { attempt.stop(.cancelled) }
    }
}
