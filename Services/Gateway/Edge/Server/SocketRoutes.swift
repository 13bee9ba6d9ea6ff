internal import GatewaySession
internal import GatewayWire

/// The addresses that are WebSockets, and what serves each: a line here is all that a further protocol needs.
struct SocketRoutes: Sendable {
    let shards: ShardGroup
    let origins: OriginPolicy
    let limits: GatewayLimits
    let offersEcho: Bool
    let phoenix: PhoenixRules
    /// Whether messages are compressed for clients that offer it.
    let compressesMessages: Bool

    /// What becomes of a request.
    enum Outcome {
        /// The service gets the connection, with the answer to the handshake.
        case serve(WebSocketService, response: [UInt8])
        case refuse(status: Int, reason: String, extraHeaders: String)
    }

    private static let centrifuge = "/connection/websocket"
    private static let phoenix = "/socket/websocket"
    private static let plainPrefix = "/ws/"
    private static let echo = "/echo"

    /// Whether a request line is for one of these addresses.
    static func isSocketRoute(_ line: ArraySlice<UInt8>) -> Bool {
        let parts = line.split(separator: 0x20, maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3 else { return false }
        let path = parts[1].prefix { $0 != UInt8(ascii: "?") }
        return path.elementsEqual(centrifuge.utf8) || path.starts(with: plainPrefix.utf8)
            || path.elementsEqual(phoenix.utf8) || path.elementsEqual(echo.utf8)
    }

    func outcome(of head: RequestHead) -> Outcome {
        if head.path == SocketRoutes.echo, !offersEcho {
            return .refuse(status: 404, reason: "not found", extraHeaders: "")
        }
        if shards.isDraining {
            return .refuse(
                status: 503, reason: "the gateway is leaving; connect again", extraHeaders: "Retry-After: 1\r\n")
        }
        let compression =
            compressesMessages ? PerMessageDeflate.accept(head.list("sec-websocket-extensions")) : nil
        let subprotocol =
            head.path == SocketRoutes.phoenix
            ? PhoenixOpening.subprotocol(of: head.members("sec-websocket-protocol")) : nil
        switch WebSocketHandshake.answer(head, origins: origins, subprotocol: subprotocol, extension: compression) {
        case .refuse(let status, let reason, let extraHeaders):
            return .refuse(status: status, reason: reason, extraHeaders: extraHeaders)
        case .accept(let response):
            return serve(head, Array(response.utf8), isCompressed: compression != nil)
        }
    }

    private func serve(_ head: RequestHead, _ response: [UInt8], isCompressed: Bool) -> Outcome {
        let opening: WebSocketConnection.Opening
        if head.path == SocketRoutes.echo {
            return .serve(.echo(isCompressed: isCompressed), response: response)
        } else if head.path == SocketRoutes.centrifuge {
            // A token in the address stands in for one that the connect command does not have.
            opening = .commands(CentrifugeJSON(tokenOfAddress: head.token), .centrifugeJSON)
        } else if head.path == SocketRoutes.phoenix {
            guard
                let phoenix = PhoenixOpening(
                    query: head.query, offered: head.members("sec-websocket-protocol"),
                    headerToken: head.bearerToken)
            else {
                return .refuse(
                    status: 403, reason: "vsn names a version that is not spoken here; there are 1.0.0 and 2.0.0",
                    extraHeaders: "")
            }
            let (codec, protocolID) = phoenix.codec(aliasesSupabase: self.phoenix.aliasesSupabase)
            opening = .handshake(codec, protocolID, token: phoenix.token(isGood: self.phoenix.isGood))
        } else {
            let channel = String(head.path.dropFirst(SocketRoutes.plainPrefix.count))
            opening = .address(
                PlainWebSocket(channel: channel), .plainWebSocket, token: head.token,
                channels: [SubscribeCommand(channel: channel)])
        }
        return .serve(.session(opening, isCompressed: isCompressed, trace: head.trace), response: response)
    }
}
