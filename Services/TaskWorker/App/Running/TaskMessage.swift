internal import EventBus
internal import Events
internal import JSON
internal import TaskWorkerCore

/// A message of a queue, read as the task that it is.
struct TaskMessage: Sendable {
    let request: TaskRequest
    /// The id that the message says, or the same one at every delivery.
    let id: TaskID

    /// Why a message is no task.
    struct Malformed: Error {
        let name: String
        let reason: String
    }

    init(
        _ message: BusMessage, sequence: UInt64, storedAt: Timestamp, _ parts: WorkerParts
    ) throws(Malformed) {
        guard let address = parts.subjects.task(ofSubject: message.subject) else {
            throw Malformed(name: "unnamed", reason: "the subject is not \(parts.subjects.prefix).task.<queue>.<name>")
        }
        do {
            let json = message.payload.isEmpty ? [:] : try JSONValue(parsingMembersOf: message.payload)
            request = try TaskRequest(json: json, address: address)
        } catch let error as JSONError {
            throw Malformed(name: address.name, reason: "the payload is not JSON: \(error)")
        } catch {
            throw Malformed(name: address.name, reason: "the task is malformed: \(error)")
        }
        id =
            request.id ?? message.headers[HeaderName.messageID].flatMap(TaskID.init)
            ?? .derived(storedAt: storedAt, sequence: sequence)
    }
}
