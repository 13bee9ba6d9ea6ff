internal import CMalloc
internal import GatewayEdge
internal import ServiceLifecycle

/// When what connections had is to be given back to the system: glibc keeps freed memory for the next ones, so a process
/// from which 20,000 clients went would stay as large as it was with them.
///
/// Giving back walks through all that is free, a few milliseconds, so it is done when most connections have gone, and not
/// before what lingers of them has gone as well.
struct FreedMemory {
    /// Fewer leave nothing behind that is worth the while.
    static let worthwhile = 1000

    /// The most connections since the last time.
    private var highest = 0
    /// Whether most of them were gone at the last look already.
    private var isDue = false

    /// Notes how many connections there are; to be called in longer intervals than anything lingers.
    /// - Returns: whether freed memory is to be given back now.
    mutating func looked(connections: Int) -> Bool {
        highest = max(highest, connections)
        guard highest >= FreedMemory.worthwhile, connections < highest / 2 else {
            isDue = false
            return false
        }
        guard isDue else {
            isDue = true
            return false
        }
        isDue = false
        highest = connections
        return true
    }
}

/// Gives memory back when most clients have gone.
struct FreedMemoryRunner: Service {
    let shards: ShardGroup

    private static let interval = Duration.seconds(10)

    func run() async throws {
        await cancelWhenGracefulShutdown {
            var freed = FreedMemory()
            while (try? await Task.sleep(for: FreedMemoryRunner.interval)) != nil {
                if freed.looked(connections: Int(await shards.connectionCount)) { malloc_trim(0) }
            }
        }
    }
}
