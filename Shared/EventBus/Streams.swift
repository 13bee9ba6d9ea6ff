public import Events

/// The streams that several services share. Whoever consumes one ensures it, so that services start in any order; all
/// of them must therefore ask for the same.
extension StreamSpecification {
    /// Business events, kept for seven days.
    public static func events(_ subjects: Subjects) -> StreamSpecification {
        StreamSpecification(
            name: subjects.eventsStream, subjects: [subjects.allEvents], maximumAge: .seconds(7 * 86_400))
    }

    /// Tasks that wait for a worker or are being run. A task submitted twice within two minutes is stored once.
    public static func tasks(_ subjects: Subjects) -> StreamSpecification {
        StreamSpecification(
            name: subjects.tasksStream, subjects: [subjects.allTasks], retention: .workQueue,
            duplicateWindow: .seconds(120))
    }

    /// What could not be handled, kept for thirty days.
    public static func deadLetters(_ subjects: Subjects) -> StreamSpecification {
        StreamSpecification(
            name: subjects.deadStream, subjects: [subjects.allDead], maximumAge: .seconds(30 * 86_400))
    }
}
