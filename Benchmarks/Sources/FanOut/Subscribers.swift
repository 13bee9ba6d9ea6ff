import Glibc
import Histogram

/// Many WebSockets on one channel, read by the calling thread: counts the messages that come to each and, for some of them,
/// how old they are.
struct Subscribers {
    /// Of every message to the observed subscribers, in nanoseconds.
    var latencies = Histogram<UInt64>(numberOfSignificantValueDigits: .three)

    private var polls: [pollfd] = []
    private var readers: [FrameReader] = []
    private var buffer = [UInt8](repeating: 0, count: 1 << 18)
    /// One of so many is observed, so that first and last in any order of sending are among them.
    private static let observedShare = 50

    init(count: Int, port: UInt16, dialect: Dialect) throws {
        for index in 0..<count {
            let socket = try SubscriberSocket.connect(port, dialect)
            polls.append(pollfd(fd: socket, events: Int16(POLLIN), revents: 0))
            readers.append(FrameReader(isObserved: index % Self.observedShare == Self.observedShare - 1))
        }
    }

    func close() {
        for poll in polls { Glibc.close(poll.fd) }
    }

    /// Reads until `messages` more have come to every subscriber.
    mutating func receive(_ messages: Int) throws {
        let wanted = messages * polls.count
        var received = 0
        while received < wanted {
            guard poll(&polls, nfds_t(polls.count), 10_000) > 0 else {
                throw Failure(description: "nothing came for 10 s; \(wanted - received) of \(wanted) are missing")
            }
            for index in polls.indices where polls[index].revents != 0 {
                let count = read(polls[index].fd, &buffer, buffer.count)
                guard count > 0 else { throw Failure(description: "the server closed a connection") }
                let now = ContinuousClock.now
                received += try readers[index].read(buffer[..<count]) { message in
                    latencies.record(Message.age(of: message, at: now) ?? 0)
                }
            }
        }
        guard received == wanted else { throw Failure(description: "\(received) deliveries instead of \(wanted)") }
    }
}

/// Takes the frames of one connection apart, however they are cut, and counts the messages in them.
struct FrameReader {
    private let isObserved: Bool
    private var header: [UInt8] = []
    private var remaining = 0
    private var text: [UInt8] = []

    init(isObserved: Bool) { self.isObserved = isObserved }

    /// - Returns: how many messages ended in these bytes.
    mutating func read(_ bytes: ArraySlice<UInt8>, onMessage: ([UInt8]) -> Void) throws -> Int {
        var messages = 0
        var index = bytes.startIndex
        while index < bytes.endIndex {
            guard remaining > 0 else {
                header.append(bytes[index])
                index += 1
                try takeHeader()
                continue
            }
            let end = min(bytes.endIndex, index + remaining)
            remaining -= end - index
            for position in index..<end {
                if isObserved { text.append(bytes[position]) }
                guard bytes[position] == Message.end else { continue }
                messages += 1
                guard isObserved else { continue }
                onMessage(text)
                text.removeAll(keepingCapacity: true)
            }
            index = end
        }
        return messages
    }

    /// Servers' frames are not masked.
    private mutating func takeHeader() throws {
        guard header.count >= 2 else { return }
        let length = Int(header[1] & 0x7F)
        let extended = length == 126 ? 2 : length == 127 ? 8 : 0
        guard header.count == 2 + extended else { return }
        if header[0] & 0x0F == 8 { throw Failure(description: "the server closes a WebSocket") }
        remaining = extended == 0 ? length : header[2...].reduce(0) { $0 << 8 | Int($1) }
        header.removeAll(keepingCapacity: true)
    }
}

/// Opens one WebSocket and gets it onto the channel.
enum SubscriberSocket {
    static func connect(_ port: UInt16, _ dialect: Dialect) throws -> Int32 {
        let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
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
        try send(
            Array(
                ("GET \(dialect.path) HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nUpgrade: websocket\r\n"
                    + "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                    + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").utf8), to: socket)
        let head = try read(until: "\r\n\r\n", from: socket)
        guard head.hasPrefix("HTTP/1.1 101") else { throw Failure(description: "refused: \(head)") }
        if let greeting = dialect.greeting { try send(Dialect.frame(greeting), to: socket) }
        if let confirmation = dialect.confirmation { _ = try read(until: confirmation, from: socket) }
        // The rest of the last frame, if any: nothing is published before all are there, so it ends with what is there.
        if dialect.confirmation != nil { try drain(socket) }
        return socket
    }

    private static func send(_ bytes: [UInt8], to socket: Int32) throws {
        guard write(socket, bytes, bytes.count) == bytes.count else { throw Failure(description: "cannot write") }
    }

    private static func read(until end: String, from socket: Int32) throws -> String {
        var text: [UInt8] = []
        let end = Array(end.utf8)
        while !text.suffix(end.count).elementsEqual(end) {
            var byte: UInt8 = 0
            guard Glibc.read(socket, &byte, 1) == 1 else {
                throw Failure(description: "no answer to the handshake: \(String(decoding: text, as: UTF8.self))")
            }
            text.append(byte)
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// What belongs to the confirmation's frame came in the same write of the server's as the confirmation.
    private static func drain(_ socket: Int32) throws {
        var rest = [UInt8](repeating: 0, count: 4096)
        _ = recv(socket, &rest, rest.count, Int32(MSG_DONTWAIT))
    }
}
