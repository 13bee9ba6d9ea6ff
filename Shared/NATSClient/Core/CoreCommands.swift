internal import JSON

/// What a client says, in NATS's client protocol. Subjects and queue names must have been checked: see ``NATSSyntax``.
struct CoreCommands: Equatable {
    private(set) var bytes: [UInt8] = []

    mutating func connect(_ introduction: CoreIntroduction) {
        append("CONNECT ")
        bytes.append(contentsOf: introduction.json.serialized())
        endLine()
    }

    mutating func subscribe(_ subject: String, queue: String?, number: Int) {
        append("SUB ")
        append(subject)
        if let queue {
            append(" ")
            append(queue)
        }
        append(" ")
        append(number)
        endLine()
    }

    mutating func unsubscribe(_ number: Int) {
        append("UNSUB ")
        append(number)
        endLine()
    }

    /// Subject, answer's subject and headers must have been checked.
    mutating func publish(_ message: NATSMessage, replyTo: String?) {
        let headersLength = message.headers.encodedLength
        reserve(96 + message.subject.utf8.count + headersLength + message.payload.count)
        append(headersLength > 0 ? "HPUB " as StaticString : "PUB ")
        append(message.subject)
        if let replyTo {
            append(" ")
            append(replyTo)
        }
        append(" ")
        if headersLength > 0 {
            append(headersLength)
            append(" ")
        }
        append(headersLength + message.payload.count)
        endLine()
        if headersLength > 0 {
            append("NATS/1.0\r\n")
            for (name, value) in message.headers {
                append(name)
                append(": ")
                append(value)
                endLine()
            }
            endLine()
        }
        bytes.append(contentsOf: message.payload)
        endLine()
    }

    /// Makes room for so many more bytes, and so much that many small messages do not each move those before them.
    private mutating func reserve(_ count: Int) {
        let needed = bytes.count + count
        if needed > bytes.capacity { bytes.reserveCapacity(max(needed, bytes.capacity * 2)) }
    }

    mutating func ping() { append("PING\r\n") }

    mutating func pong() { append("PONG\r\n") }

    mutating func append(contentsOf other: CoreCommands) { bytes += other.bytes }

    mutating func removeAll() { bytes = [] }

    private mutating func append(_ text: String) {
        if text.utf8.withContiguousStorageIfAvailable({ bytes.append(contentsOf: $0) }) == nil {
            bytes.append(contentsOf: text.utf8)
        }
    }

    private mutating func append(_ text: StaticString) {
        bytes.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    private mutating func append(_ number: Int) { append(String(number)) }

    private mutating func endLine() {
        bytes.append(UInt8(ascii: "\r"))
        bytes.append(UInt8(ascii: "\n"))
    }
}

/// What a client says about itself: `CONNECT`.
struct CoreIntroduction: Equatable, Sendable {
    var name = ""
    var user: String?
    var password: String?
    var token: String?
    var jwt: String?
    /// The server's nonce, signed with the key that `jwt` names.
    var signature: String?

    var json: JSONValue {
        var object: JSONObject = [
            "verbose": false, "pedantic": false, "tls_required": false, "name": .string(name), "lang": "swift",
            "version": "1", "protocol": 1, "echo": true, "headers": true, "no_responders": true,
        ]
        let secrets = [
            ("user", user), ("pass", password), ("auth_token", token), ("jwt", jwt), ("sig", signature),
        ]
        for (key, value) in secrets {
            if let value { object[key] = .string(value) }
        }
        return .object(object)
    }
}
