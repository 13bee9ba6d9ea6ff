/// Follows the messages of one channel of a stream and sees whether one is missing.
///
/// JetStream republishes each stored message with its sequence and with that of the message before it on the same
/// subject. As long as the latter is not beyond what was passed on last, nothing was missed in between.
package struct ContinuityChain: Sendable, Equatable {
    package enum Verdict: Sendable, Equatable {
        /// It is the next one.
        case deliver
        /// It was passed on already, having been read from the stream before it came.
        case ignore
        /// Messages before it are missing: they must be read from the stream first.
        case gap
        /// Sequences go backwards: the stream may have been made anew, so its epoch must be looked at.
        case restarted
    }

    /// The sequence of the last message that was passed on, or up to which the channel is known to have none.
    package private(set) var last: UInt64
    /// The highest sequence that has come as a message, not by reading.
    private var heard: UInt64 = 0

    package init(last: UInt64) { self.last = last }

    /// - Parameter previous: the sequence of the message before it on its subject; 0 if none is retained.
    package mutating func received(sequence: UInt64, previous: UInt64) -> Verdict {
        if sequence <= last {
            guard sequence > heard else { return .restarted }
            heard = sequence
            return .ignore
        }
        if previous > last { return .gap }
        last = sequence
        heard = sequence
        return .deliver
    }

    /// A message was read from the stream, in order.
    /// - Returns: whether it is new.
    package mutating func read(sequence: UInt64) -> Bool {
        guard sequence > last else { return false }
        last = sequence
        return true
    }
}
