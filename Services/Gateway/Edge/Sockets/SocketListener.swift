internal import Glibc
internal import Logging
internal import NIOCore
internal import Reactor

/// The gateway's listening socket: accepts connections and deals them out to the loops, each in turn.
final class SocketListener: ReactorHandler, Sendable {
    /// Gets an accepted connection, on the loop that it is for.
    typealias Receiver = @Sendable (Int32, EdgeLoop) -> Void

    let port: Int
    private let descriptor: Int32
    private let loops: [EdgeLoop]
    private let receive: Receiver
    private let logger: Logger
    // Only the first loop's thread touches these.
    private nonisolated(unsafe) var next = 0
    private nonisolated(unsafe) var isClosed = false
    private nonisolated(unsafe) var isShort = false

    /// How many are accepted in one turn, so that those who are here are served too.
    private static let batch = 128
    /// How long it waits when the process may open no more files.
    private static let pause = Duration.milliseconds(100)
    /// `TCP_USER_TIMEOUT` of Linux (RFC 5482).
    private static let tcpUserTimeout: Int32 = 18

    /// Binds and listens; nobody is accepted before ``start()``.
    /// - Parameters:
    ///   - port: 0 picks a free one.
    ///   - unacknowledgedTimeout: how long a client may leave what was sent to it unacknowledged: it has gone, or will not
    ///     read. Without it a client that has vanished keeps its socket for as long as the kernel retries.
    /// - Throws: ``ListenError``.
    init(
        host: String, port: Int, unacknowledgedTimeout: Duration, loops: [EdgeLoop], logger: Logger,
        receive: @escaping Receiver
    ) throws {
        let address = try SocketAddress.makeAddressResolvingHost(host, port: port)
        let descriptor = socket(
            address.protocol == .inet6 ? AF_INET6 : AF_INET,
            Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw ListenError(host, port, errno) }
        SocketListener.set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
        // Accepted connections have these from the start.
        SocketListener.set(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
        SocketListener.set(
            descriptor, Int32(IPPROTO_TCP), SocketListener.tcpUserTimeout,
            Int32(clamping: Int64(unacknowledgedTimeout / .milliseconds(1))))
        let status = address.withSockAddr { pointer, size in bind(descriptor, pointer, socklen_t(size)) }
        guard status == 0, listen(descriptor, 4096) == 0 else {
            let code = errno
            close(descriptor)
            throw ListenError(host, port, code)
        }
        self.descriptor = descriptor
        self.port = SocketListener.port(of: descriptor)
        self.loops = loops
        self.logger = logger
        self.receive = receive
    }

    private static func set(_ descriptor: Int32, _ level: Int32, _ option: Int32, _ value: Int32) {
        var value = value
        setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    private static func port(of descriptor: Int32) -> Int {
        var storage = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        withUnsafeMutablePointer(to: &storage) { pointer in
            _ = pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &size) }
        }
        // The port stands at the same place for both families.
        return withUnsafeBytes(of: &storage) { Int(UInt16(bigEndian: $0.load(fromByteOffset: 2, as: UInt16.self))) }
    }

    func start() {
        let reactor = loops[0].reactor
        reactor.execute { [self] in
            if !isClosed { reactor.watch(descriptor, for: .reading, self) }
        }
    }

    /// Accepts nobody any more.
    func stop() {
        let reactor = loops[0].reactor
        reactor.execute { [self] in
            guard !isClosed else { return }
            isClosed = true
            reactor.unwatch(descriptor)
            close(descriptor)
        }
    }

    func ready(_ readiness: Readiness) {
        for _ in 0..<SocketListener.batch {
            let accepted: Int32
            do throws(ReactorError) {
                accepted = try Reactor.accept(from: descriptor)
            } catch {
                return failed(error.code)
            }
            isShort = false
            let loop = loops[next % loops.count]
            next &+= 1
            if loop.reactor.isCurrent {
                receive(accepted, loop)
            } else {
                loop.reactor.execute { [receive] in receive(accepted, loop) }
            }
        }
    }

    private func failed(_ code: Int32) {
        switch code {
        case EAGAIN, EINTR, ECONNABORTED: return
        default: break
        }
        // Told again at once, this would fail again at once.
        let reactor = loops[0].reactor
        reactor.unwatch(descriptor)
        reactor.schedule(after: SocketListener.pause) { [self] in
            if !isClosed { reactor.watch(descriptor, for: .reading, self) }
        }
        guard !isShort else { return }
        isShort = true
        logger.error(
            "a connection cannot be accepted; give the process more files (ulimit -n) or lower gateway.limits.connections",
            metadata: ["error": "\(String(cString: strerror(code)))"])
    }
}

/// The gateway cannot listen where it should.
package struct ListenError: Error, CustomStringConvertible {
    package let description: String

    init(_ host: String, _ port: Int, _ code: Int32) {
        let reason = String(cString: strerror(code))
        let advice =
            switch code {
            case EADDRINUSE: "; another program listens there: stop it, or set gateway.listen to another port"
            case EACCES: "; ports below 1024 need a privilege: set gateway.listen to another port"
            case EADDRNOTAVAIL: "; it is no address of this machine: set gateway.listen to one that is"
            default: ""
            }
        description = "cannot listen on \(host):\(port): \(reason)\(advice)"
    }
}
