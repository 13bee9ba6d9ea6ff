/// A place of a queue that a task holds.
struct Place: Sendable {
    let queue: String
    let places: Places

    /// Lets others use the place while `operation` waits for something else.
    func lent<Value>(during operation: () async -> Value) async -> Value {
        places.giveBack(queue)
        let value = await operation()
        await places.takeBack(queue)
        return value
    }
}
