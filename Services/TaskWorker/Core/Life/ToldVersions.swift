package import Events

/// What has been told of a task, by the messages that its channel and its user's still hold.
///
/// The streams keep their messages apart: when their server is killed, each may have come further than the other. And they know
/// whom they have seen only while they hold it, or were not started again since.
package struct ToldVersions: Sendable, Hashable {
    /// What the user's channel says.
    package enum ToUser: Sendable, Hashable {
        /// The newest version that it holds.
        case version(TaskStatus.Version)
        /// It holds none, and has let go of no message that came after the moment: none was told later than that.
        case nothing(after: Timestamp)
        /// Nobody has looked, or it may have held one and let go of it since.
        case unknown
    }

    /// The newest version on the task's own channel; nil if there is none.
    package var onTask: TaskStatus.Version?
    package var toUser: ToUser

    package init(onTask: TaskStatus.Version?, toUser: ToUser = .unknown) {
        self.onTask = onTask
        self.toUser = toUser
    }

    package func isTold(_ status: TaskStatus) -> Bool { onTask.map { status.version <= $0 } ?? false }

    /// Whether the user was told. Where his channel does not say, the task's does: both are told at once, he first.
    package func isToldToUser(_ status: TaskStatus) -> Bool {
        switch toUser {
        case .version(let newest): status.version <= newest
        case .nothing(let moment) where status.updatedAt.map { $0 > moment } ?? false: false
        case .nothing, .unknown: isTold(status)
        }
    }
}
