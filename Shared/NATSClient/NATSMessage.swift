/// A message as NATS carries it.
public struct NATSMessage: Sendable, Equatable {
    public var subject: String
    public var replyTo: String?
    public var headers: NATSHeaders
    public var payload: [UInt8]

    public init(subject: String, headers: NATSHeaders = NATSHeaders(), payload: [UInt8] = [], replyTo: String? = nil) {
        self.subject = subject
        self.replyTo = replyTo
        self.headers = headers
        self.payload = payload
    }

    /// The code of a message by which a server says something instead of carrying a payload, for example 503: nobody
    /// answers the request.
    var status: Int? {
        guard payload.isEmpty, !headers.isEmpty else { return nil }
        return headers["Status"].flatMap { Int($0) }
    }
}

/// The headers of a message. Names are case-sensitive, as in NATS itself; a name may have several values.
public struct NATSHeaders: Sendable, Sequence, ExpressibleByDictionaryLiteral {
    /// All of them, in order.
    public private(set) var fields: [(name: String, value: String)] = []

    public init() {}

    public init(fields: [(name: String, value: String)]) { self.fields = fields }

    public init(dictionaryLiteral elements: (String, String)...) {
        fields = elements.map { ($0.0, $0.1) }
    }

    public var isEmpty: Bool { fields.isEmpty }

    /// The first value of `name`. Setting replaces all of them; nil removes them.
    public subscript(name: String) -> String? {
        get { fields.first { $0.name == name }?.value }
        set {
            fields.removeAll { $0.name == name }
            if let newValue { fields.append((name, newValue)) }
        }
    }

    public mutating func append(_ name: String, _ value: String) { fields.append((name, value)) }

    public func makeIterator() -> IndexingIterator<[(name: String, value: String)]> { fields.makeIterator() }

    /// How many bytes they take on the wire.
    var encodedLength: Int {
        guard !fields.isEmpty else { return 0 }
        return fields.reduce("NATS/1.0\r\n\r\n".utf8.count) { $0 + $1.name.utf8.count + $1.value.utf8.count + 4 }
    }
}

extension NATSHeaders: Equatable {
    public static func == (left: NATSHeaders, right: NATSHeaders) -> Bool {
        left.fields.elementsEqual(right.fields) { $0.name == $1.name && $0.value == $1.value }
    }
}

extension NATSHeaders {
    /// Reads a header block as JetStream stores it: `NATS/1.0`, then lines of `name: value`, each ended by CR LF. Lines
    /// that are nothing of the kind are left out.
    init(block: [UInt8]) {
        let newline = UInt8(ascii: "\n")
        var rest = block[(block.firstIndex(of: newline).map { $0 + 1 } ?? block.endIndex)...]
        while !rest.isEmpty {
            let end = rest.firstIndex(of: newline) ?? rest.endIndex
            var line = rest[..<end]
            rest = rest[Swift.min(end + 1, rest.endIndex)...]
            if line.last == UInt8(ascii: "\r") { line.removeLast() }
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { continue }
            let value = line[(colon + 1)...].drop { $0 == UInt8(ascii: " ") }
            append(String(decoding: line[..<colon], as: UTF8.self), String(decoding: value, as: UTF8.self))
        }
    }
}
