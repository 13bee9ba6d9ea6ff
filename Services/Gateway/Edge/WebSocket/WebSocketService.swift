internal import GatewaySession
internal import GatewayWire

/// What serves a WebSocket once its handshake is good.
enum WebSocketService {
    case echo(isCompressed: Bool)
    case session(WebSocketConnection.Opening, isCompressed: Bool, trace: TraceContext?)

    /// Takes a connection over.
    /// - Parameters:
    ///   - response: the answer to the handshake.
    ///   - rest: what the client has sent after it.
    func begin(_ socket: SocketEnd, response: [UInt8], rest: [UInt8], _ loop: EdgeLoop) {
        switch self {
        case .echo(let isCompressed):
            EchoConnection(socket, loop, isCompressed: isCompressed).begin(response: response, rest: rest)
        case .session(let opening, let isCompressed, let trace):
            WebSocketConnection(socket, loop, isCompressed: isCompressed)
                .begin(opening, response: response, rest: rest, trace: trace)
        }
    }
}
