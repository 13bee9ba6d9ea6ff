package import JSON

/// What a worker tells the others of itself, again and again: which queues it serves, and how many attempts it runs.
package struct WorkerBeat: Sendable, Hashable {
    package struct Queue: Sendable, Hashable {
        package var running: Int
        /// How many may run at once.
        package var places: Int

        package init(running: Int, places: Int) {
            self.running = running
            self.places = places
        }
    }

    package var queues: [String: Queue]

    package init(queues: [String: Queue]) { self.queues = queues }

    package var json: JSONValue {
        var members = JSONObject()
        for (name, queue) in queues.sorted(by: { $0.key < $1.key }) {
            members[name] = ["running": .integer(Int64(queue.running)), "places": .integer(Int64(queue.places))]
        }
        return ["queues": .object(members)]
    }

    /// - Returns: nil if it is none.
    package init?(json: JSONValue) {
        guard let members = json["queues"]?.objectValue else { return nil }
        queues = [:]
        for (name, queue) in members {
            guard let running = queue["running"]?.integerValue, let places = queue["places"]?.integerValue else {
                return nil
            }
            queues[name] = Queue(running: max(0, Int(clamping: running)), places: max(0, Int(clamping: places)))
        }
    }
}
