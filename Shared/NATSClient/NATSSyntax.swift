/// What may stand in subjects, names and headers. libnats sends what it is given: a space or a line break in a subject
/// would be read by the server as protocol and end the connection.
enum NATSSyntax {
    /// A message that is to be published: its subject and its headers.
    static func check(_ message: NATSMessage) throws(NATSError) {
        try checkSubject(message.subject, allowsWildcards: false)
        if !message.headers.isEmpty { try checkHeaders(message.headers) }
    }

    static func checkSubject(_ subject: String, allowsWildcards: Bool) throws(NATSError) {
        guard isSubject(subject, allowsWildcards: allowsWildcards) else {
            throw NATSError(
                .invalidArgument,
                allowsWildcards
                    ? "a subject has tokens without spaces, separated by single dots; > only at the end"
                    : "a subject to publish on has tokens without spaces or wildcards, separated by single dots")
        }
    }

    static func isSubject(_ subject: String, allowsWildcards: Bool) -> Bool {
        withBytes(of: subject) { isSubject($0, allowsWildcards: allowsWildcards) }
    }

    private static func isSubject(_ subject: UnsafeBufferPointer<UInt8>, allowsWildcards: Bool) -> Bool {
        var tokenLength = 0
        var tokenIsStar = false
        var ended = false
        for byte in subject {
            if ended { return false }
            switch byte {
            case UInt8(ascii: "."):
                if tokenLength == 0 { return false }
                tokenLength = 0
                tokenIsStar = false
                continue
            case 0...0x20, 0x7F: return false
            case UInt8(ascii: "*"), UInt8(ascii: ">"):
                // Within a longer token they are ordinary characters to the server, but a trap for readers.
                if !allowsWildcards || tokenLength > 0 { return false }
                tokenIsStar = byte == UInt8(ascii: "*")
                ended = !tokenIsStar
            default:
                if tokenIsStar { return false }
            }
            tokenLength += 1
        }
        return tokenLength > 0
    }

    /// The name of a stream, a consumer or a bucket.
    static func checkName(_ name: String, of what: String) throws(NATSError) {
        let isName =
            !name.isEmpty && name.utf8.count <= 255
            && name.utf8.allSatisfy { byte in
                switch byte {
                case 0...0x20, 0x7F..., UInt8(ascii: "."), UInt8(ascii: "*"), UInt8(ascii: ">"), UInt8(ascii: "/"),
                    UInt8(ascii: "\\"):
                    false
                default: true
                }
            }
        guard isName else {
            throw NATSError(
                .invalidArgument,
                "the name of a \(what) has 1 to 255 printable characters other than . * > / \\ and space")
        }
    }

    private static func checkHeaders(_ headers: NATSHeaders) throws(NATSError) {
        for (name, value) in headers {
            guard withBytes(of: name, { !$0.isEmpty && $0.allSatisfy(isOfHeaderName) }) else {
                throw NATSError(.invalidArgument, "a header's name is printable ASCII without spaces and colons")
            }
            guard withBytes(of: value, { $0.allSatisfy { $0 != 0 && $0 != 0x0A && $0 != 0x0D } }) else {
                throw NATSError(.invalidArgument, "the value of header \(name) holds a line break or a zero byte")
            }
        }
    }

    private static func isOfHeaderName(_ byte: UInt8) -> Bool {
        byte > 0x20 && byte < 0x7F && byte != UInt8(ascii: ":")
    }

    /// All that is published is looked at, so it is looked at where it lies.
    @inline(__always) private static func withBytes<Result>(
        of text: String, _ body: (UnsafeBufferPointer<UInt8>) -> Result
    ) -> Result {
        if let result = text.utf8.withContiguousStorageIfAvailable(body) { return result }
        var text = text
        return text.withUTF8(body)
    }
}
