internal import CommandLineCore
internal import Foundation
internal import JSON

/// Asks a TCP server one thing and reads what it says. Blocks: for a thread of its own.
struct SocketProbe {
    let host: String
    let port: Int
    /// For connecting, and again for each read.
    let timeout: Duration

    enum Problem: Error, Equatable, CustomStringConvertible {
        case unknownHost
        case refused
        case timedOut
        case failed(String)

        var description: String {
            switch self {
            case .unknownHost: "the host's name is not known"
            case .refused: "nothing listens there"
            case .timedOut: "no answer in time"
            case .failed(let reason): reason
            }
        }
    }

    /// Sends `request` and reads until `isComplete` says so, the server closes, or there are a million bytes.
    func exchange(_ request: [UInt8], isComplete: ([UInt8]) -> Bool) throws(Problem) -> [UInt8] {
        let socket = try connect()
        defer { close(socket) }
        guard request.isEmpty || send(socket, request, request.count, Int32(MSG_NOSIGNAL)) == request.count else {
            throw .failed("the connection broke")
        }
        var answer: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16 * 1024)
        while answer.count < 1_000_000, !isComplete(answer) {
            let count = recv(socket, &buffer, buffer.count, 0)
            if count == 0 { break }
            if count < 0 {
                if errno == EINTR { continue }
                throw errno == EAGAIN || errno == EWOULDBLOCK ? .timedOut : .failed("the connection broke")
            }
            answer.append(contentsOf: buffer[..<count])
        }
        return answer
    }

    private func connect() throws(Problem) -> Int32 {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, String(port), &hints, &list) == 0, let list else { throw .unknownHost }
        defer { freeaddrinfo(list) }
        var last = Problem.refused
        var next: UnsafeMutablePointer<addrinfo>? = list
        while let address = next {
            do throws(Problem) {
                return try connect(to: address.pointee)
            } catch {
                last = error
            }
            next = address.pointee.ai_next
        }
        throw last
    }

    private func connect(to address: addrinfo) throws(Problem) -> Int32 {
        let socket = Foundation.socket(
            address.ai_family, address.ai_socktype | Int32(SOCK_CLOEXEC.rawValue), address.ai_protocol)
        guard socket >= 0 else { throw .failed(String(cString: strerror(errno))) }
        let (seconds, attoseconds) = timeout.components
        var limit = timeval(tv_sec: Int(seconds), tv_usec: Int(attoseconds / 1_000_000_000_000))
        // On Linux the limit for sending also holds for connecting.
        setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        guard Foundation.connect(socket, address.ai_addr, address.ai_addrlen) == 0 else {
            let problem: Problem =
                switch errno {
                case ECONNREFUSED: .refused
                case EINPROGRESS, ETIMEDOUT, EAGAIN: .timedOut
                default: .failed(String(cString: strerror(errno)))
                }
            close(socket)
            throw problem
        }
        return socket
    }
}

// MARK: - NATS

extension SocketProbe {
    /// What the NATS server at `address` says first.
    static func greeting(of address: ServerAddress, timeout: Duration = .seconds(2)) async throws -> ServerGreeting {
        try await onOwnThread {
            let probe = SocketProbe(host: address.host, port: address.port, timeout: timeout)
            let bytes = try probe.exchange([]) { $0.contains(10) }
            let line = String(decoding: bytes.prefix { $0 != 13 && $0 != 10 }, as: UTF8.self)
            guard let greeting = ServerGreeting(line: line) else {
                throw Problem.failed("what listens there is no NATS server")
            }
            return greeting
        }
    }
}

// MARK: - HTTP

extension SocketProbe {
    struct HTTPAnswer: Sendable {
        let status: Int
        let contentType: String
        let body: [UInt8]
    }

    /// `GET path` in HTTP/1.1.
    static func get(
        _ path: String, host: String, port: Int, timeout: Duration = .seconds(2)
    ) async throws -> HTTPAnswer {
        try await onOwnThread {
            let probe = SocketProbe(host: host, port: port, timeout: timeout)
            let name = host.contains(":") ? "[\(host)]" : host
            let request = "GET \(path) HTTP/1.1\r\nHost: \(name):\(port)\r\nConnection: close\r\n\r\n"
            let bytes = try probe.exchange(Array(request.utf8)) { _ in false }
            let text = String(decoding: bytes, as: UTF8.self)
            let head = text.firstRange(of: "\r\n\r\n").map { text[..<$0.lowerBound] } ?? text[...]
            let lines = head.split(separator: "\r\n")
            guard let first = lines.first, first.hasPrefix("HTTP/1."),
                let status = first.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
            else { throw Problem.failed("what listens there does not speak HTTP") }
            let type = lines.first { $0.lowercased().hasPrefix("content-type:") }?.dropFirst(13) ?? ""
            return HTTPAnswer(
                status: status, contentType: type.trimmingCharacters(in: .whitespaces),
                body: Array(text[head.endIndex...].trimmingPrefix("\r\n\r\n").utf8))
        }
    }
}
