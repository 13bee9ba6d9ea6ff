internal import Events
internal import GatewayWire

/// The head of an HTTP/1.1 request, as far as a WebSocket handshake needs it (RFC 9112, sections 3 and 5).
///
/// Headers stay the bytes that came until somebody asks for one; names are compared without regard to the case of ASCII.
struct RequestHead {
    let method: String
    /// Path without the query, percent-decoded.
    let path: String
    let query: [(name: String, value: String)]
    private let bytes: [UInt8]
    private let fields: [Field]

    /// Where in the bytes a header stands.
    private struct Field {
        let name: Range<Int>
        let value: Range<Int>
    }

    /// The longest head of a WebSocket's handshake that is read.
    static let maximumBytes = 16_384
    /// The longest head of another request: it may hold the positions of many channels.
    static let maximumBytesOfHTTP = 81_920

    /// Why bytes are not a request that can be answered, with the status that says so.
    struct Invalid: Error, Equatable {
        let status: Int
        let reason: String
    }

    /// Reads a whole head, with or without the empty line at its end.
    init(parsing bytes: [UInt8]) throws(Invalid) {
        guard bytes.reduce(0, |) < 0x80 || String(validating: bytes, as: UTF8.self) != nil else {
            throw Invalid(status: 400, reason: "the request is not UTF-8")
        }
        var position = 0
        let line = RequestHead.line(of: bytes, from: &position) ?? 0..<0
        let parts = bytes[line].split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard parts.count == 3, parts[2].starts(with: "HTTP/1.".utf8), parts[1].first == UInt8(ascii: "/") else {
            throw Invalid(status: 400, reason: "the request line cannot be read")
        }
        method = String(decoding: parts[0], as: UTF8.self)
        let target = parts[1].split(separator: UInt8(ascii: "?"), maxSplits: 1, omittingEmptySubsequences: false)
        guard let decoded = PercentEncoding.decode(utf8: target[0], plusIsSpace: false) else {
            throw Invalid(status: 400, reason: "the path is not percent-encoded UTF-8")
        }
        path = decoded
        query = target.count == 2 ? PercentEncoding.query(utf8: target[1]) : []
        var fields: [Field] = []
        fields.reserveCapacity(16)
        while let line = RequestHead.line(of: bytes, from: &position) {
            guard let colon = bytes[line].firstIndex(of: UInt8(ascii: ":")), colon != line.lowerBound,
                !RequestHead.isBlank(bytes[line.lowerBound])
            else { throw Invalid(status: 400, reason: "a header line cannot be read") }
            fields.append(
                Field(name: line.lowerBound..<colon, value: RequestHead.trimmed(colon + 1..<line.upperBound, of: bytes))
            )
        }
        self.bytes = bytes
        self.fields = fields
    }

    /// The next line that is not empty, without its end.
    private static func line(of bytes: [UInt8], from position: inout Int) -> Range<Int>? {
        while position < bytes.count {
            let start = position
            var end = start
            while end < bytes.count, bytes[end] != 0x0D || end + 1 == bytes.count || bytes[end + 1] != 0x0A { end += 1 }
            position = end + 2
            if end > start { return start..<end }
        }
        return nil
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }

    /// Without spaces and tabs at both ends.
    private static func trimmed(_ range: Range<Int>, of bytes: [UInt8]) -> Range<Int> {
        var (start, end) = (range.lowerBound, range.upperBound)
        while start < end, isBlank(bytes[start]) { start += 1 }
        while start < end, isBlank(bytes[end - 1]) { end -= 1 }
        return start..<end
    }

    private func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }

    /// Whether the bytes of `range` are `text`, upper or lower case of ASCII not told apart.
    private func equal(_ range: Range<Int>, _ text: String) -> Bool {
        func lower(_ byte: UInt8) -> UInt8 {
            byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
        }
        guard range.count == text.utf8.count else { return false }
        return bytes[range].elementsEqual(text.utf8) { lower($0) == lower($1) }
    }

    // MARK: Headers

    /// The first value of a header; repeated ones are for lists, which ``list(_:)`` joins.
    subscript(name: String) -> String? {
        fields.first { equal($0.name, name) }.map { text($0.value) }
    }

    /// Whether the first value of a header is `value`, in any case.
    func has(_ name: String, _ value: String) -> Bool {
        fields.first { equal($0.name, name) }.map { equal($0.value, value) } ?? false
    }

    /// Whether `member` is one of a comma-separated header's, in any case.
    func has(_ name: String, member: String) -> Bool {
        ranges(name).contains { equal($0, member) }
    }

    /// The members of a comma-separated header, in lower case.
    func list(_ name: String) -> [String] { members(name).map { $0.lowercased() } }

    /// The members of a comma-separated header, as they were written.
    func members(_ name: String) -> [String] { ranges(name).map(text) }

    private func ranges(_ name: String) -> [Range<Int>] {
        fields.filter { equal($0.name, name) }.flatMap { field in
            bytes[field.value].split(separator: UInt8(ascii: ",")).map { RequestHead.trimmed($0.indices, of: bytes) }
        }
    }

    // MARK: What it asks for

    /// The first value of a query parameter.
    func parameter(_ name: String) -> String? { query.first { $0.name == name }?.value }

    /// The token of `?token=` or `Authorization: Bearer`.
    var token: String? {
        if let token = parameter("token"), !token.isEmpty { return token }
        return bearerToken
    }

    /// The token of `Authorization: Bearer`.
    var bearerToken: String? {
        guard let authorization = self["authorization"], authorization.lowercased().hasPrefix("bearer ") else {
            return nil
        }
        return String(authorization.dropFirst(7))
    }

    /// Where the request stands in a trace.
    var trace: TraceContext? {
        TraceContext(parent: self[HeaderName.traceParent], state: self[HeaderName.traceState])
    }
}

/// Percent-encoding of addresses (RFC 3986, section 2.1).
enum PercentEncoding {
    /// Nil for a `%` without two digits, and for what is not UTF-8.
    static func decode(_ text: some StringProtocol, plusIsSpace: Bool) -> String? {
        decode(utf8: text.utf8, plusIsSpace: plusIsSpace)
    }

    static func decode(utf8 text: some Collection<UInt8>, plusIsSpace: Bool) -> String? {
        var decoded: [UInt8] = []
        decoded.reserveCapacity(text.count)
        var bytes = text.makeIterator()
        while let byte = bytes.next() {
            switch byte {
            case UInt8(ascii: "%"):
                guard let high = bytes.next().flatMap(digit), let low = bytes.next().flatMap(digit) else { return nil }
                decoded.append(high << 4 | low)
            case UInt8(ascii: "+") where plusIsSpace: decoded.append(0x20)
            default: decoded.append(byte)
            }
        }
        return String(validating: decoded, as: UTF8.self)
    }

    /// The parameters of a query, in order; one that cannot be decoded is left out.
    static func query(_ text: some StringProtocol) -> [(name: String, value: String)] { query(utf8: text.utf8) }

    static func query(utf8 text: some Collection<UInt8>) -> [(name: String, value: String)] {
        text.split(separator: UInt8(ascii: "&")).compactMap { pair in
            let parts = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = decode(utf8: parts[0], plusIsSpace: true),
                let value = parts.count == 2 ? decode(utf8: parts[1], plusIsSpace: true) : ""
            else { return nil }
            return (name, value)
        }
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
