/// Reads a stream from its newest message to its oldest, though a bus gives messages in their order only: window by
/// window, each wider than the last while there is little in them.
package struct BackwardsReader: Sendable, Hashable {
    /// The most messages asked for at once.
    package static let maximumCount = 200

    package struct Window: Sendable, Hashable {
        /// Messages with a greater sequence than this, and with a smaller one than ``before``.
        package var after: UInt64
        package var before: UInt64
        /// How many to ask for.
        package var limit: Int
    }

    private let first: UInt64
    private var before: UInt64
    private var span: UInt64

    /// - Parameters:
    ///   - first: the sequence of the oldest message that there may be.
    ///   - before: only messages with smaller sequences are read.
    ///   - count: how many are wanted.
    package init(first: UInt64, before: UInt64, count: Int) {
        self.first = max(1, first)
        self.before = before
        span = UInt64(min(max(1, count), BackwardsReader.maximumCount))
    }

    /// What to read next; nil when there is nothing before.
    package var window: Window? {
        guard before > first else { return nil }
        let after = before - first > span ? before - 1 - span : first - 1
        let width = before - 1 - after
        return Window(after: after, before: before, limit: Int(min(width, UInt64(BackwardsReader.maximumCount))))
    }

    /// Takes in how many messages of ``window`` there were.
    /// - Returns: whether they are all that the window holds. If not, a narrower one is to be read instead.
    package mutating func read(_ count: Int) -> Bool {
        guard let window else { return true }
        let width = window.before - 1 - window.after
        if count >= window.limit, width > UInt64(window.limit) {
            span = UInt64(window.limit)
            return false
        }
        before = window.after + 1
        // Wide enough for a few messages, seldom so wide that it holds too many.
        if count * 4 < window.limit, span < 1 << 60 { span *= 4 }
        return true
    }
}
