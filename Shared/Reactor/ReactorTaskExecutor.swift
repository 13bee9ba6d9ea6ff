/// Runs tasks on a reactor's thread: for those that mostly wait for what comes there, so that no other thread is woken for each
/// answer. What they do in between must not block, and while they do it nothing else is done there.
///
/// Whoever runs tasks on it sees to it that the reactor is not stopped before they have ended.
public final class ReactorTaskExecutor: TaskExecutor {
    private let reactor: Reactor

    public init(_ reactor: Reactor) { self.reactor = reactor }

    public func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        reactor.execute { [self] in job.runSynchronously(on: asUnownedTaskExecutor()) }
    }
}
