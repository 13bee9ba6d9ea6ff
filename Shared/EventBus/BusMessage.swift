public import Events

/// A message as it travels on the bus.
public struct BusMessage: Sendable, Equatable {
    public var subject: String
    /// Where an answer is expected, for requests.
    public var replyTo: String?
    public var headers: BusHeaders
    public var payload: [UInt8]

    public init(subject: String, headers: BusHeaders = [:], payload: [UInt8] = [], replyTo: String? = nil) {
        self.subject = subject
        self.replyTo = replyTo
        self.headers = headers
        self.payload = payload
    }
}

/// The headers of a message, in order. Names are compared without regard to case, as HTTP and CloudEvents do; the case
/// in which they were written is kept.
public struct BusHeaders: Sendable, ExpressibleByDictionaryLiteral, Sequence {
    private var fields: [(name: String, value: String)] = []

    public init() {}

    public init(dictionaryLiteral elements: (String, String)...) {
        fields = elements.map { ($0.0, $0.1) }
    }

    public var isEmpty: Bool { fields.isEmpty }

    /// The first value of `name`. Setting replaces every value of it; nil removes it.
    public subscript(name: String) -> String? {
        get { fields.first { $0.name.equalsIgnoringCase(name) }?.value }
        set {
            guard let newValue else {
                fields.removeAll { $0.name.equalsIgnoringCase(name) }
                return
            }
            if let index = fields.firstIndex(where: { $0.name.equalsIgnoringCase(name) }) {
                fields[index].value = newValue
            } else {
                fields.append((name, newValue))
            }
        }
    }

    /// Adds a value without replacing those that `name` has.
    public mutating func append(_ name: String, _ value: String) { fields.append((name, value)) }

    public func makeIterator() -> IndexingIterator<[(name: String, value: String)]> { fields.makeIterator() }
}

extension BusHeaders: Equatable {
    public static func == (left: BusHeaders, right: BusHeaders) -> Bool {
        left.fields.elementsEqual(right.fields) { $0.name == $1.name && $0.value == $1.value }
    }
}

extension String {
    fileprivate func equalsIgnoringCase(_ other: String) -> Bool {
        utf8.count == other.utf8.count
            && zip(utf8, other.utf8).allSatisfy {
                $0 == $1 || ($0 | 0x20 == $1 | 0x20 && (97...122).contains($0 | 0x20))
            }
    }
}

/// A message that a stream holds.
public struct StoredMessage: Sendable, Equatable {
    public var message: BusMessage
    /// Its number in the stream, from 1.
    public var sequence: UInt64
    /// When the stream took it.
    public var storedAt: Timestamp

    public init(message: BusMessage, sequence: UInt64, storedAt: Timestamp) {
        self.message = message
        self.sequence = sequence
        self.storedAt = storedAt
    }
}
