/// What the reply subject of a delivered message says of it:
/// `$JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time>.<pending>`, with domain and account in
/// front of the stream and one more token at the end on servers that have them.
public struct DeliveryMetadata: Sendable, Equatable {
    public var stream: String
    public var consumer: String
    /// How often the message was delivered, this time included.
    public var deliveries: UInt64
    public var sequence: UInt64
    /// Counts the deliveries of the consumer, without gaps.
    public var consumerSequence: UInt64
    /// When the stream took it, in nanoseconds since 1970.
    public var storedAtNanoseconds: Int64
    /// How many messages the consumer has not delivered yet.
    public var pending: UInt64

    private static let prefix = "$JS.ACK."
    /// More tokens than any server's subject has are not told apart.
    private static let tokenLimit = 16

    /// One pass over the text, since every task that is fetched is asked for this.
    init?(replyTo: String) {
        var replyTo = replyTo
        let found: DeliveryMetadata? = replyTo.withUTF8 { text in
            guard text.starts(with: DeliveryMetadata.prefix.utf8) else { return nil }
            return withUnsafeTemporaryAllocation(of: Int.self, capacity: DeliveryMetadata.tokenLimit) { starts in
                var count = 0
                starts[0] = 0
                for (index, byte) in text.enumerated() where byte == UInt8(ascii: ".") {
                    count += 1
                    guard count < DeliveryMetadata.tokenLimit else { return nil }
                    starts[count] = index + 1
                }
                count += 1
                guard count == 9 || count >= 11 else { return nil }
                let first = count == 9 ? 2 : 4
                func token(_ number: Int) -> Slice<UnsafeBufferPointer<UInt8>> {
                    let index = first + number
                    let end = index + 1 < count ? starts[index + 1] - 1 : text.count
                    return text[starts[index]..<end]
                }
                return DeliveryMetadata(token)
            }
        }
        guard let found else { return nil }
        self = found
    }

    /// What a consumer's delivery of a message is answered by, for whoever has not got it and knows which message it is.
    static func replySubject(stream: String, consumer: String, sequence: UInt64) -> String {
        "\(prefix)\(stream).\(consumer).1.\(sequence).0.0.0"
    }

    private init?(_ token: (Int) -> Slice<UnsafeBufferPointer<UInt8>>) {
        guard let deliveries = DeliveryMetadata.number(token(2)), let sequence = DeliveryMetadata.number(token(3)),
            let consumerSequence = DeliveryMetadata.number(token(4)),
            let time = DeliveryMetadata.number(token(5)).flatMap(Int64.init(exactly:)),
            let pending = DeliveryMetadata.number(token(6))
        else { return nil }
        stream = String(decoding: token(0), as: UTF8.self)
        consumer = String(decoding: token(1), as: UTF8.self)
        self.deliveries = deliveries
        self.sequence = sequence
        self.consumerSequence = consumerSequence
        storedAtNanoseconds = time
        self.pending = pending
    }

    private static func number(_ digits: Slice<UnsafeBufferPointer<UInt8>>) -> UInt64? {
        guard !digits.isEmpty else { return nil }
        var value: UInt64 = 0
        for byte in digits {
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, overflowOfSum) = product.addingReportingOverflow(UInt64(byte - UInt8(ascii: "0")))
            guard !overflow, !overflowOfSum else { return nil }
            value = sum
        }
        return value
    }
}

extension NATSMessage {
    /// What is known of a message that a consumer delivered; nil for any other.
    public var deliveryMetadata: DeliveryMetadata? { replyTo.flatMap(DeliveryMetadata.init) }
}
