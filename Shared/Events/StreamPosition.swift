/// Where a reader of a channel with history is: after the message `offset` of the stream's life `epoch`.
///
/// An offset alone is not enough: a stream that was deleted and made again counts from 1, and offset 7 would then name
/// another message than before. The epoch differs between the two lives, so the mistake is seen.
public struct StreamPosition: Sendable, Hashable {
    public var epoch: String
    public var offset: UInt64

    public init(epoch: String, offset: UInt64) {
        self.epoch = epoch
        self.offset = offset
    }
}
