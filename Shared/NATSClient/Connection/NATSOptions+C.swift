internal import CNats
internal import Synchronization

extension NATSConnectionOptions {
    /// Hands libnats's form of these options to `body`. `closure` is what every callback gets.
    func withCOptions<Result>(
        closure: UnsafeMutableRawPointer, _ body: (OpaquePointer) throws(NATSError) -> Result
    ) throws(NATSError) -> Result {
        var created: OpaquePointer?
        try check(natsOptions_Create(&created), "natsOptions_Create")
        guard let options = created else { throw NATSError(.failed, "natsOptions_Create: no options") }
        defer { natsOptions_Destroy(options) }

        try check(setServers(options), "natsOptions_SetServers")
        if !name.isEmpty { try check(natsOptions_SetName(options, name), "natsOptions_SetName") }
        if let credentials {
            try check(
                natsOptions_SetUserCredentialsFromFiles(options, credentials, nil),
                "natsOptions_SetUserCredentialsFromFiles")
        }
        try setTLS(options)
        try check(natsOptions_SetTimeout(options, connectTimeout.wholeMilliseconds), "natsOptions_SetTimeout")
        try check(natsOptions_SetPingInterval(options, pingInterval.wholeMilliseconds), "natsOptions_SetPingInterval")
        try check(natsOptions_SetMaxPingsOut(options, 2), "natsOptions_SetMaxPingsOut")
        try check(
            natsOptions_SetWriteDeadline(options, writeDeadline.wholeMilliseconds), "natsOptions_SetWriteDeadline")
        try check(natsOptions_SetAllowReconnect(options, true), "natsOptions_SetAllowReconnect")
        try check(natsOptions_SetMaxReconnect(options, -1), "natsOptions_SetMaxReconnect")
        try check(
            natsOptions_SetCustomReconnectDelay(options, chooseReconnectDelay, closure),
            "natsOptions_SetCustomReconnectDelay")
        try check(
            natsOptions_SetReconnectBufSize(options, Int32(clamping: reconnectBufferBytes)),
            "natsOptions_SetReconnectBufSize")
        try check(natsOptions_UseGlobalMessageDelivery(options, true), "natsOptions_UseGlobalMessageDelivery")
        try check(natsOptions_SetSendAsap(options, sending == .immediately), "natsOptions_SetSendAsap")

        try check(natsOptions_SetReconnectedCB(options, reconnected, closure), "natsOptions_SetReconnectedCB")
        try check(natsOptions_SetDisconnectedCB(options, disconnected, closure), "natsOptions_SetDisconnectedCB")
        try check(natsOptions_SetClosedCB(options, closed, closure), "natsOptions_SetClosedCB")
        try check(natsOptions_SetLameDuckModeCB(options, lameDuck, closure), "natsOptions_SetLameDuckModeCB")
        try check(natsOptions_SetErrorHandler(options, errorOccurred, closure), "natsOptions_SetErrorHandler")
        return try body(options)
    }

    private func setTLS(_ options: OpaquePointer) throws(NATSError) {
        // By itself libnats speaks TLS only if the server asks for it, whatever the URL says.
        if servers.contains(where: { $0.lowercased().hasPrefix("tls://") }) {
            try check(natsOptions_SetSecure(options, true), "natsOptions_SetSecure")
        }
        func use(_ files: String, _ status: natsStatus) throws(NATSError) {
            guard status != NATS_OK else { return }
            let reason = NATSError.lastReason(for: status) ?? "no reason is known"
            throw NATSError(.invalidArgument, "\(files) cannot be used for TLS: \(reason)")
        }
        if let authorities = tls.authorities {
            try use(authorities, natsOptions_LoadCATrustedCertificates(options, authorities))
        }
        if let certificate = tls.certificate, let key = tls.key {
            try use("\(certificate) with \(key)", natsOptions_LoadCertificatesChain(options, certificate, key))
        }
    }

    private func setServers(_ options: OpaquePointer) -> natsStatus {
        // All texts in one buffer, each ended by a zero byte, and pointers into it.
        let texts = servers.flatMap { $0.utf8CString }
        return texts.withUnsafeBufferPointer { buffer in
            guard var next = buffer.baseAddress else { return NATS_INVALID_ARG }
            var pointers: [UnsafePointer<CChar>?] = []
            for server in servers {
                pointers.append(next)
                next += server.utf8CString.count
            }
            return natsOptions_SetServers(options, &pointers, Int32(clamping: pointers.count))
        }
    }
}

// The callbacks run on threads of libnats.

private let reconnected: natsConnectionHandler = { _, closure in LinkCallbacks.from(closure)?.core.reconnected() }

private let disconnected: natsConnectionHandler = { _, closure in LinkCallbacks.from(closure)?.core.disconnected() }

private let lameDuck: natsConnectionHandler = { _, closure in LinkCallbacks.from(closure)?.core.emit(.lameDuck) }

/// The last callback: libnats's reference is given up.
private let closed: natsConnectionHandler = { connection, closure in
    guard let closure else { return }
    let callbacks = Unmanaged<LinkCallbacks>.fromOpaque(closure).takeRetainedValue()
    callbacks.isClosed.store(true, ordering: .releasing)
    var text: UnsafePointer<CChar>?
    let status = connection.map { natsConnection_GetLastError($0, &text) } ?? NATS_OK
    callbacks.core.closed(lastError: status == NATS_OK ? nil : NATSError(status, during: "the connection ended"))
}

private let errorOccurred: natsErrHandler = { _, subscription, status, closure in
    guard let core = LinkCallbacks.from(closure)?.core else { return }
    if status == NATS_SLOW_CONSUMER, let subscription {
        core.overflowed(subscription)
    } else {
        core.emit(.refused(NATSError(status, during: "the server answered")))
    }
}

private let chooseReconnectDelay: natsCustomReconnectDelayHandler = { _, attempt, closure in
    let random = Double.random(in: 0..<1)
    let options = LinkCallbacks.from(closure)?.core.options
    return options?.reconnectDelay(attempt: Int(attempt), random: random).wholeMilliseconds ?? 1000
}
