/// The entries of a bucket and their changes, for one reader. Ends when nobody holds it any more.
public final class KeyValueWatch: Sendable {
    public enum Event: Sendable, Equatable {
        case entry(KeyValueStore.Entry)
        /// All that was there when the watch began has been given.
        case caughtUp
        /// So many events were dropped since the reader was too slow, or the bucket was deleted and made again (0). The
        /// last event: watch anew.
        case lost(UInt64)
    }

    private let buffer: BoundedBuffer<Event>
    private let task: Task<Void, Never>

    init(store: KeyValueStore, follower: StreamFollower, bufferLimit: Int) {
        let buffer = BoundedBuffer<Event>(limit: bufferLimit, policy: .stop)
        self.buffer = buffer
        task = Task {
            var isSnapshot = true
            await follower.run { event in
                switch event {
                case .message(let message):
                    let entry = store.entry(message)
                    if isSnapshot {
                        // What is deleted is not part of what is there. All else can wait for the reader.
                        guard entry.operation == .put else { return }
                        await buffer.room()
                    }
                    buffer.push(.entry(entry))
                case .caughtUp:
                    isSnapshot = false
                    await buffer.room()
                    buffer.push(.caughtUp)
                case .replaced: buffer.push(.lost(0))
                }
            }
            buffer.finish()
        }
    }

    /// The next event; nil after the last one, when the connection was closed, or when the calling task is cancelled.
    public func next() async -> Event? {
        switch await buffer.next() {
        case .element(.lost(let count)), .dropped(let count):
            end()
            return .lost(count)
        case .element(let event): return event
        case nil: return nil
        }
    }

    private func end() {
        task.cancel()
        buffer.finish()
    }

    deinit { task.cancel() }
}

extension KeyValueStore {
    /// The present entries of the keys that match `filter`, then ``KeyValueWatch/Event/caughtUp`` once, then every change
    /// in order, across lost connections and restarts of the server. At most `bufferLimit` events wait for the reader; the
    /// beginning waits on the server until there is room, changes beyond it are lost.
    public func watch(_ filter: String, bufferLimit: Int) async throws(NATSError) -> KeyValueWatch {
        let follower = try await StreamFollower(jetStream, stream: stream, subject: subject(matching: filter))
        return KeyValueWatch(store: self, follower: follower, bufferLimit: bufferLimit)
    }
}
