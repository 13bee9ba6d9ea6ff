internal import Glibc

/// Where a socket connects to.
struct SocketAddress: Sendable {
    private let storage: sockaddr_storage
    private let length: socklen_t

    fileprivate init?(_ information: addrinfo) {
        guard let address = information.ai_addr, Int(information.ai_addrlen) <= MemoryLayout<sockaddr_storage>.size
        else { return nil }
        var storage = sockaddr_storage()
        withUnsafeMutableBytes(of: &storage) {
            $0.copyMemory(from: UnsafeRawBufferPointer(start: address, count: Int(information.ai_addrlen)))
        }
        self.storage = storage
        length = information.ai_addrlen
    }

    /// A socket that begins to connect, and does not wait for it.
    /// - Returns: its descriptor, or the error (`errno`).
    func beginConnecting() -> Result<Int32, SystemError> {
        let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = socket(Int32(storage.ss_family), type, 0)
        guard descriptor >= 0 else { return .failure(SystemError(code: errno)) }
        // What is written is whole lines that somebody waits for.
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        let status = withUnsafePointer(to: storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, length) }
        }
        guard status == 0 || errno == EINPROGRESS else {
            let error = SystemError(code: errno)
            close(descriptor)
            return .failure(error)
        }
        return .success(descriptor)
    }

    /// Asks the system where `host` is. Blocks for as long as that takes.
    static func find(_ host: String, port: UInt16) throws(NATSError) -> [SocketAddress] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, String(port), &hints, &found)
        guard status == 0 else {
            throw NATSError(.notConnected, "\(host) is not known: \(String(cString: gai_strerror(status)))")
        }
        defer { freeaddrinfo(found) }
        var addresses: [SocketAddress] = []
        var next = found
        while let information = next {
            if let address = SocketAddress(information.pointee) { addresses.append(address) }
            next = information.pointee.ai_next
        }
        return addresses
    }
}

/// What the system answers instead of doing something.
struct SystemError: Error, CustomStringConvertible {
    let code: Int32

    var description: String { String(cString: strerror(code)) }
}
