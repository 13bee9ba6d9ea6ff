internal import Glibc
internal import Reactor

/// The socket of a ``CoreConnection``, from the attempt to make it to its end: what is read goes to the owner, what is to be
/// written is asked of it.
///
/// `@unchecked`: belongs to the reactor's thread, as its owner's decisions do; others only carry the reference.
final class CoreSocket: ReactorHandler, @unchecked Sendable {
    private enum Phase {
        /// Its addresses are being looked for.
        case finding
        /// Exits when the socket can be written to, which says that it is connected, or not.
        case connecting(Int32)
        case open(Int32)
        case closed
    }

    private let reactor: Reactor
    private weak let owner: CoreConnection?
    private var phase = Phase.finding
    private var addresses: ArraySlice<SocketAddress> = []
    /// Unchecked: only the reactor's thread touches it, and what it is asked for comes back before anybody is called.
    @exclusivity(unchecked) var parser = CoreParser()
    /// What has been taken to be written, and how much of it has been.
    private var unsent: [UInt8] = []
    private var sentCount = 0
    /// The kernel takes no more for now; what is left is written when it does.
    private(set) var isWaitingToWrite = false

    /// How much is read in a turn of the loop.
    static let readSize = 64 * 1024

    init(_ reactor: Reactor, owner: CoreConnection) {
        self.reactor = reactor
        self.owner = owner
    }

    var isClosed: Bool {
        if case .closed = phase { true } else { false }
    }

    /// Tries one address after the other. Does nothing if it was closed meanwhile.
    func connect(to addresses: [SocketAddress]) {
        guard case .finding = phase else { return }
        self.addresses = addresses[...]
        tryNext(after: nil)
    }

    private func tryNext(after error: SystemError?) {
        var error = error
        while let address = addresses.popFirst() {
            switch address.beginConnecting() {
            case .success(let descriptor):
                phase = .connecting(descriptor)
                if reactor.watch(descriptor, for: .writing, self) { return }
                error = SystemError(code: errno)
                Glibc.close(descriptor)
                phase = .finding
            case .failure(let failure): error = failure
            }
        }
        let reason = error.map { $0.description } ?? "it has no address"
        owner?.failed(self, NATSError(.notConnected, "cannot connect: \(reason)"))
    }

    func close() {
        switch phase {
        case .connecting(let descriptor), .open(let descriptor):
            reactor.unwatch(descriptor)
            Glibc.close(descriptor)
        case .finding, .closed: break
        }
        phase = .closed
        unsent = []
    }

    // MARK: From the reactor

    func ready(_ readiness: Readiness) {
        switch phase {
        case .connecting(let descriptor): finishConnecting(descriptor)
        case .open(let descriptor):
            if readiness.contains(.writing) { owner?.canWrite(self) }
            // The owner may have closed it.
            if readiness.contains(.reading), case .open = phase { read(descriptor) }
        case .finding, .closed: return
        }
    }

    private func finishConnecting(_ descriptor: Int32) {
        var code: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        let status = getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length)
        guard status == 0, code == 0 else {
            reactor.unwatch(descriptor)
            Glibc.close(descriptor)
            phase = .finding
            return tryNext(after: SystemError(code: status == 0 ? code : errno))
        }
        phase = .open(descriptor)
        reactor.change(descriptor, to: .reading)
        owner?.opened(self)
    }

    private func read(_ descriptor: Int32) {
        guard let owner else { return }
        let count = recv(descriptor, owner.buffer.baseAddress, owner.buffer.count, 0)
        if count > 0 {
            owner.received(self, UnsafeRawBufferPointer(rebasing: owner.buffer[..<count]))
        } else if count == 0 {
            owner.failed(self, NATSError(.notConnected, "the server closed the connection"))
        } else if errno != EAGAIN, errno != EINTR {
            owner.failed(self, NATSError(.notConnected, SystemError(code: errno).description))
        }
    }

    // MARK: Writing

    /// Writes what `next` gives until the socket takes no more or nothing is left.
    /// - Returns: false if the socket is broken.
    func write(_ next: () -> [UInt8]) -> Bool {
        guard case .open(let descriptor) = phase else { return true }
        while true {
            if sentCount == unsent.count {
                unsent = next()
                sentCount = 0
                guard !unsent.isEmpty else { break }
            }
            let count = unsent.withUnsafeBytes { bytes in
                send(
                    descriptor, bytes.baseAddress.map { $0 + sentCount }, bytes.count - sentCount,
                    Int32(MSG_NOSIGNAL))
            }
            if count < 0 {
                if errno == EINTR { continue }
                guard errno == EAGAIN else { return false }
                break
            }
            sentCount += count
        }
        let mustWait = sentCount < unsent.count
        if mustWait != isWaitingToWrite {
            isWaitingToWrite = mustWait
            reactor.change(descriptor, to: mustWait ? [.reading, .writing] : .reading)
        }
        return true
    }
}
