import Glibc

/// Many plain WebSockets on one channel, read by the calling thread: counts the bytes that come, and looks at the time
/// written into each message.
struct Subscribers {
    struct Failure: Error, CustomStringConvertible { let description: String }

    private var polls: [pollfd] = []
    private var buffer = [UInt8](repeating: 0, count: 1 << 18)
    /// Of every message that one chosen subscriber got.
    private(set) var latencies: [Duration] = []

    /// Connects to `ws://127.0.0.1:port/ws/<channel>`.
    init(count: Int, port: UInt16, channel: String) throws {
        for _ in 0..<count {
            polls.append(pollfd(fd: try Self.connect(port, channel), events: Int16(POLLIN), revents: 0))
        }
    }

    func close() {
        for poll in polls { Glibc.close(poll.fd) }
    }

    private static func connect(_ port: UInt16, _ channel: String) throws -> Int32 {
        let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else { throw Failure(description: "cannot connect: \(String(cString: strerror(errno)))") }
        let request =
            "GET /ws/\(channel) HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        let bytes = Array(request.utf8)
        guard write(socket, bytes, bytes.count) == bytes.count else { throw Failure(description: "cannot write") }
        // The head of the answer ends with an empty line; nothing follows it until something is published.
        var head: [UInt8] = []
        while !head.suffix(4).elementsEqual([13, 10, 13, 10]) {
            var byte: UInt8 = 0
            guard read(socket, &byte, 1) == 1 else { throw Failure(description: "closed during the handshake") }
            head.append(byte)
        }
        guard head.starts(with: Array("HTTP/1.1 101".utf8)) else {
            throw Failure(description: "refused: \(String(decoding: head, as: UTF8.self))")
        }
        return socket
    }

    /// Reads until so many bytes have come over all sockets.
    /// - Parameter frame: bytes of one frame, each with a message of ``Message``.
    mutating func receive(bytes wanted: Int, frame: Int, clock: ContinuousClock, origin: ContinuousClock.Instant) throws
    {
        var received = 0
        var rest: [UInt8] = []
        while received < wanted {
            let ready = poll(&polls, nfds_t(polls.count), 10_000)
            guard ready > 0 else {
                throw Failure(description: "nothing came for 10 s; \(wanted - received) bytes are missing")
            }
            for index in polls.indices where polls[index].revents != 0 {
                let count = read(polls[index].fd, &buffer, buffer.count)
                guard count > 0 else { throw Failure(description: "the gateway closed a connection") }
                received += count
                // The last one, which the gateway reaches last.
                guard index == polls.count - 1 else { continue }
                let now = clock.now
                rest += buffer[..<count]
                while rest.count >= frame {
                    if let sent = Message.sent(in: rest[..<frame]) { latencies.append(now - (origin + sent)) }
                    rest.removeFirst(frame)
                }
            }
        }
    }
}

/// A message of a fixed length that says when it was sent.
enum Message {
    /// 128 bytes of JSON: `{"sent":0000000123456789,"text":"…"}`.
    static let length = 128
    private static let prefix = #"{"sent":1"#
    private static let digits = 15

    static func make(sent: Duration) -> [UInt8] {
        let (seconds, attoseconds) = sent.components
        let text = String(seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
        let start = prefix + String(repeating: "0", count: digits - text.count) + text + #","text":""#
        return Array(start.utf8) + [UInt8](repeating: UInt8(ascii: "x"), count: length - start.utf8.count - 2)
            + Array(#""}"#.utf8)
    }

    /// The time in a frame, which has a header of two or four bytes.
    static func sent(in frame: ArraySlice<UInt8>) -> Duration? {
        let payload = frame.suffix(length)
        let number = payload.dropFirst(prefix.utf8.count).prefix(digits)
        return Int64(String(decoding: number, as: UTF8.self)).map { .nanoseconds($0) }
    }
}
