/// What a program asks of its bus, as a test that puts faults into it sees it.
public struct BusCall: Sendable, Hashable {
    public enum Operation: String, Sendable, Hashable, CaseIterable {
        case publish, subscribe, request, flush
        case ensureStream, streamState, deleteStream, append, messages, lastMessage, deleteMessage, purgeStream
        case subjectCounts, consumerState, forgetRemoved, consumer, fetch
        case acknowledge, retry, extend, terminate
        case keyValue, get, put, update, delete, purgeKey, history, keys, watch

        /// Whether it reads or changes what others see. All others connect, listen, or tell those who listen.
        public var isStep: Bool {
            switch self {
            case .publish, .subscribe, .request, .flush, .forgetRemoved, .consumer, .fetch, .keyValue, .watch: false
            default: true
            }
        }
    }

    public let operation: Operation
    /// The subject of a message; the name of a stream, consumer or bucket; the key of an entry, or the filter of keys.
    public let target: String
}
