internal import Reactor

/// `/echo`: a WebSocket that returns every message as it came, for conformance suites.
final class EchoConnection: ReactorHandler {
    private let loop: EdgeLoop
    private var socket: SocketEnd
    private var parser = WebSocketFrameParser()
    private let isCompressed: Bool
    private var isOver = false

    private static let maximumMessageBytes = 16 << 20

    init(_ socket: SocketEnd, _ loop: EdgeLoop, isCompressed: Bool) {
        self.socket = socket
        self.loop = loop
        self.isCompressed = isCompressed
    }

    func begin(response: [UInt8], rest: [UInt8]) {
        loop.reactor.replaceHandler(of: socket.descriptor, with: self)
        socket.append(response)
        socket.flush(loop)
        if !rest.isEmpty { received(rest.span) }
    }

    func ready(_ readiness: Readiness) {
        let readiness = socket.told(readiness)
        if readiness.contains(.writing) { socket.flush(loop) }
        // A client that does not read is not read from: what is echoed must not pile up.
        socket.pause(socket.isBlocked, loop)
        guard !socket.isBlocked else { return readiness.contains(.hungUp) ? end() : () }
        guard readiness.contains(.reading) else { return }
        switch socket.receive(loop) {
        case .bytes(let count): received(UnsafeBufferPointer(rebasing: loop.inbound[..<count]).span)
        case .nothing: break
        case .end: end()
        }
    }

    private func received(_ bytes: Span<UInt8>) {
        do throws(WebSocketViolation) {
            let inputs = try parser.feed(
                bytes, maximumMessageBytes: EchoConnection.maximumMessageBytes, inflater: compressor?.inflater)
            for input in inputs where !isOver { answer(input) }
            if !isOver { socket.flush(loop) }
        } catch {
            close(code: error.code, reason: error.reason)
        }
    }

    private var compressor: LoopCompressor? { isCompressed ? loop.compressor : nil }

    private func answer(_ input: WebSocketInput) {
        switch input {
        case .text(let bytes): socket.append(WebSocketFrameWriter.frame(.text, bytes, compressor: compressor))
        case .binary(let bytes): socket.append(WebSocketFrameWriter.frame(.binary, bytes, compressor: compressor))
        case .ping(let bytes): socket.append(WebSocketFrameWriter.frame(.pong, bytes))
        case .pong: break
        case .close(let code): close(code: code ?? 1000, reason: "")
        }
    }

    private func close(code: UInt16, reason: String) {
        guard !isOver else { return }
        isOver = true
        Farewell.bid(socket.handOver(), words: WebSocketFrameWriter.close(code: code, reason: reason), loop)
    }

    private func end() {
        guard !isOver else { return }
        isOver = true
        socket.close(loop)
    }
}
