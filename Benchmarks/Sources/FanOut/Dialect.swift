/// How a subscriber gets onto the channel: the address, and what it says once the WebSocket is open.
struct Dialect {
    let path: String
    /// The frame to send after the handshake; nil for none.
    let greeting: String?
    /// What the server's answer holds when messages will come from then on.
    let confirmation: String?

    static func plain(_ channel: String) -> Dialect {
        Dialect(path: "/ws/\(channel)", greeting: nil, confirmation: nil)
    }

    static func centrifuge(_ channel: String) -> Dialect {
        Dialect(
            path: "/connection/websocket",
            greeting: #"{"id":1,"connect":{}}"# + "\n" + #"{"id":2,"subscribe":{"channel":"\#(channel)"}}"#,
            confirmation: #""subscribe":"#)
    }

    static func nats(_ subject: String) -> Dialect {
        Dialect(
            path: "/",
            greeting:
                "CONNECT {\"verbose\":false,\"lang\":\"bench\",\"version\":\"1\"}\r\nSUB \(subject) 1\r\nPING\r\n",
            confirmation: "PONG")
    }

    /// A client's frame, as the protocol wants it: masked.
    static func frame(_ text: String) -> [UInt8] {
        let mask: [UInt8] = [0x37, 0xFA, 0x21, 0x3D]
        let payload = Array(text.utf8)
        precondition(payload.count < 65_536)
        var frame: [UInt8] = [0x82]
        if payload.count < 126 {
            frame.append(0x80 | UInt8(payload.count))
        } else {
            frame += [0x80 | 126, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF)]
        }
        return frame + mask + payload.enumerated().map { $1 ^ mask[$0 & 3] }
    }
}

/// A message of a fixed length that says when it was sent.
enum Message {
    /// 128 bytes of JSON: `{"sent":1000000123456789,"text":"xxx…`"}`.
    static let length = 128
    /// Stands once in each message, near its end, and nowhere else in what servers send.
    static let end = UInt8(ascii: "`")
    private static let prefix = Array(#""sent":1"#.utf8)
    private static let digits = 15
    private static let origin = ContinuousClock.now

    static func make(sent: ContinuousClock.Instant) -> [UInt8] {
        let (seconds, attoseconds) = (sent - origin).components
        let text = String(seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
        var message: [UInt8] = [UInt8(ascii: "{")] + prefix
        message += [UInt8](repeating: UInt8(ascii: "0"), count: digits - text.utf8.count) + Array(text.utf8)
        message += Array(#","text":""#.utf8)
        message += [UInt8](repeating: UInt8(ascii: "x"), count: length - message.count - 3)
        return message + [end] + Array(#""}"#.utf8)
    }

    /// Nanoseconds since the message was made whose bytes up to ``end`` these are, perhaps after others.
    static func age(of bytes: [UInt8], at now: ContinuousClock.Instant) -> UInt64? {
        var start = bytes.count - prefix.count - digits
        while start >= 0 {
            if bytes[start..<start + prefix.count].elementsEqual(prefix) {
                let number = bytes[start + prefix.count..<start + prefix.count + digits]
                guard let sent = Int64(String(decoding: number, as: UTF8.self)) else { return nil }
                let age = now - (origin + .nanoseconds(sent))
                return UInt64(max(0, age / .nanoseconds(1)))
            }
            start -= 1
        }
        return nil
    }
}
