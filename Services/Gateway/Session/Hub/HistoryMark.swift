package import EventBus
package import Events

/// Marks each day in a history's stream by a message of its own, which stays as long as the stream remembers positions.
///
/// The oldest mark holds the stream's first sequence down. Without it, busy channels would push the first sequence past
/// the position of a quiet one, and a client of the latter could not be told that it missed nothing.
package struct HistoryMark: Sendable {
    private let namespace: String
    private let subjects: Subjects

    package init(namespace: String, subjects: Subjects) {
        self.namespace = namespace
        self.subjects = subjects
    }

    /// The day, counted from 1970 in UTC, whose mark is written at that time.
    package static func day(of time: Timestamp) -> Int64 { time.seconds / 86_400 }

    /// Writes the day's mark unless it is there. Whichever gateway comes first does it.
    package func write(on bus: any EventBus, at time: Timestamp) async throws(BusError) {
        let subject = subjects.historyMark(namespace: namespace, day: HistoryMark.day(of: time))
        do throws(BusError) {
            try await bus.append(BusMessage(subject: subject, payload: Array("{}".utf8)), expecting: .onSubject(0))
        } catch  where error.code == .conflict {
            return
        }
    }
}
