/// Decides about the opening handshake of a WebSocket (RFC 6455, section 4.2).
enum WebSocketHandshake {
    /// What is answered.
    enum Answer: Equatable {
        case accept(head: String)
        case refuse(status: Int, reason: String, extraHeaders: String)
    }

    static func answer(
        _ head: RequestHead, origins: OriginPolicy, subprotocol: String? = nil, extension: String? = nil
    ) -> Answer {
        guard head.method == "GET", head.has("upgrade", "websocket"), head.has("connection", member: "upgrade") else {
            return .refuse(
                status: 426, reason: "this address is for WebSockets",
                extraHeaders: "Upgrade: websocket\r\nConnection: Upgrade\r\n")
        }
        guard head["sec-websocket-version"] == "13" else {
            return .refuse(
                status: 426, reason: "only version 13 of the WebSocket protocol is spoken here",
                extraHeaders: "Sec-WebSocket-Version: 13\r\n")
        }
        guard let key = head["sec-websocket-key"], AcceptKey.isKey(key) else {
            return .refuse(status: 400, reason: "Sec-WebSocket-Key is not 16 bytes in base64", extraHeaders: "")
        }
        guard origins.admits(origin: head["origin"], host: head["host"]) else {
            return .refuse(status: 403, reason: "this origin is not let in; see gateway.origins", extraHeaders: "")
        }
        var response = ""
        response.reserveCapacity(256)
        response += "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        response += "Sec-WebSocket-Accept: "
        response += AcceptKey.answer(to: key)
        response += "\r\n"
        if let subprotocol { response += "Sec-WebSocket-Protocol: \(subprotocol)\r\n" }
        if let `extension` { response += "Sec-WebSocket-Extensions: \(`extension`)\r\n" }
        response += "\r\n"
        return .accept(head: response)
    }
}

/// Which web pages may connect (`gateway.origins`).
package struct OriginPolicy: Sendable, Equatable {
    private let allowed: Set<String>
    private let allowsAll: Bool

    /// - Parameter origins: `https://shop.example`, or `*` for all. None is: pages of the gateway's own host.
    package init(_ origins: [String]) {
        allowed = Set(origins.map { $0.lowercased() })
        allowsAll = origins.contains("*")
    }

    /// A request without an origin comes from no web page, and is let in.
    func admits(origin: String?, host: String?) -> Bool {
        guard let origin = origin?.lowercased() else { return true }
        if allowsAll || allowed.contains(origin) { return true }
        guard let host = host?.lowercased(), let scheme = origin.firstRange(of: "://") else { return false }
        return origin[scheme.upperBound...] == host
    }
}
