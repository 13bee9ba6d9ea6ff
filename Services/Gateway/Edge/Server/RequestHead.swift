internal import Events
internal import GatewayWire

/// The head of an HTTP/1.1 request, as far as a WebSocket handshake needs it (RFC 9112, sections 3 and 5).
struct RequestHead: Equatable {
    var method: String
    /// Path without the query, percent-decoded.
    var path: String
    var query: [(name: String, value: String)]
    private var fields: [(name: String, value: String)]

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
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw Invalid(status: 400, reason: "the request is not UTF-8")
        }
        var lines = text.split(separator: "\r\n", omittingEmptySubsequences: true)[...]
        let parts = (lines.popFirst() ?? "").split(separator: " ", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[2].hasPrefix("HTTP/1."), parts[1].hasPrefix("/") else {
            throw Invalid(status: 400, reason: "the request line cannot be read")
        }
        method = String(parts[0])
        let target = parts[1].split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        guard let decoded = PercentEncoding.decode(target[0], plusIsSpace: false) else {
            throw Invalid(status: 400, reason: "the path is not percent-encoded UTF-8")
        }
        path = decoded
        query = target.count == 2 ? PercentEncoding.query(target[1]) : []
        fields = []
        for line in lines {
            guard let colon = line.firstIndex(of: ":"), colon != line.startIndex, line.first != " ",
                line.first != "\t"
            else { throw Invalid(status: 400, reason: "a header line cannot be read") }
            let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
            fields.append((line[..<colon].lowercased(), RequestHead.trimmedEnd(value)))
        }
    }

    private static func trimmedEnd(_ text: Substring) -> String {
        var text = text
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return String(text)
    }

    /// The first value of a header, whatever its case; repeated ones are for lists, which ``list(_:)`` joins.
    subscript(name: String) -> String? {
        let lower = name.lowercased()
        return fields.first { $0.name == lower }?.value
    }

    /// The members of a comma-separated header, in lower case.
    func list(_ name: String) -> [String] { members(name).map { $0.lowercased() } }

    /// The members of a comma-separated header, as they were written.
    func members(_ name: String) -> [String] {
        let lower = name.lowercased()
        return fields.filter { $0.name == lower }.flatMap { $0.value.split(separator: ",") }
            .map { RequestHead.trimmedEnd($0.drop { $0 == " " || $0 == "\t" }) }
    }

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

    static func == (left: RequestHead, right: RequestHead) -> Bool {
        left.method == right.method && left.path == right.path
            && left.query.elementsEqual(right.query, by: ==) && left.fields.elementsEqual(right.fields, by: ==)
    }
}

/// Percent-encoding of addresses (RFC 3986, section 2.1).
enum PercentEncoding {
    /// Nil for a `%` without two digits, and for what is not UTF-8.
    static func decode(_ text: some StringProtocol, plusIsSpace: Bool) -> String? {
        var decoded: [UInt8] = []
        var bytes = text.utf8.makeIterator()
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
    static func query(_ text: some StringProtocol) -> [(name: String, value: String)] {
        text.split(separator: "&").compactMap { pair in
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = decode(parts[0], plusIsSpace: true),
                let value = decode(parts.count == 2 ? parts[1] : "", plusIsSpace: true)
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
