/// Where a connection stands, and all that belongs to it. A plain value: what is to be done is returned.
struct ConnectionState {
    typealias Completion = @Sendable (Result<NATSMessage, NATSError>) -> Void

    enum Phase {
        /// There is no link; attempts to make one go on. Also while a new link is prepared. What is published is kept.
        case connecting
        case connected(ConnectionLink)
        /// libnats tries to mend the link, and keeps what is published.
        case reconnecting(ConnectionLink)
        /// The owner is closing it; nothing new is accepted.
        case closing(ConnectionLink?)
        case closed
    }

    /// A message that waits for a link.
    struct Kept {
        let message: NATSMessage
        let replyTo: String?
    }

    var phase = Phase.connecting
    /// The link that is being prepared while connecting: new subscriptions belong on it already.
    var preparing: ConnectionLink?
    var requests = RequestTable<Completion>()
    var armedDeadline: ContinuousClock.Instant?
    var subscriptions: [ObjectIdentifier: NATSSubscription] = [:]
    /// Why no server lets us in, while that is so: for those who begin to listen later.
    var shutOut: NATSError?
    var listeners = EventListeners()
    var whenClosed: [@Sendable () -> Void] = []
    private var backlog: [Kept] = []
    private var backlogBytes = 0

    /// The link on which subscriptions belong now.
    var subscribingLink: ConnectionLink? {
        switch phase {
        case .connecting: preparing
        case .connected(let link), .reconnecting(let link): link
        case .closing, .closed: nil
        }
    }

    var isOver: Bool {
        switch phase {
        case .connecting, .connected, .reconnecting: false
        case .closing, .closed: true
        }
    }

    enum Route {
        case link(ConnectionLink)
        /// It was put with those that wait.
        case kept
        case refused(NATSError)
    }

    /// Where a message goes that is to be sent now. It is kept if there is no link yet, up to `limit` bytes.
    mutating func route(_ message: NATSMessage, replyTo: String?, limit: Int) -> Route {
        switch phase {
        case .connected(let link), .reconnecting(let link): return .link(link)
        case .closing, .closed: return .refused(.closed)
        case .connecting:
            let bytes = message.subject.utf8.count + message.payload.count + message.headers.encodedLength + 64
            guard backlogBytes + bytes <= limit else { return .refused(.notConnected) }
            backlog.append(Kept(message: message, replyTo: replyTo))
            backlogBytes += bytes
            return .kept
        }
    }

    /// All that waits, to be sent on the new link; nil if nothing does: then the link is in use from now on.
    mutating func takeBacklogOrFinish(preparing link: ConnectionLink) -> [Kept]? {
        guard backlog.isEmpty else {
            let kept = backlog
            backlog = []
            backlogBytes = 0
            return kept
        }
        preparing = nil
        shutOut = nil
        phase = .connected(link)
        return nil
    }
}
