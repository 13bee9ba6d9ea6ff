internal import Reactor

/// A connection that has been told its last words: what it still sends is thrown away until it goes, or a moment is over.
///
/// Closing at once, with bytes of the client unread, would make the kernel reset the connection, and the client might never
/// read the words.
final class Farewell: ReactorHandler {
    private let loop: EdgeLoop
    private var socket: SocketEnd
    private var isOver = false

    /// How long a client may take to go.
    static let patience = Duration.seconds(2)

    private init(_ socket: SocketEnd, _ loop: EdgeLoop) {
        self.socket = socket
        self.loop = loop
    }

    /// Takes the connection over from its handler, sends `words` after what waits, and closes.
    static func bid(_ socket: SocketEnd, words: [UInt8], _ loop: EdgeLoop) {
        let farewell = Farewell(socket, loop)
        loop.reactor.replaceHandler(of: socket.descriptor, with: farewell)
        farewell.socket.pause(false, loop)
        farewell.socket.append(words)
        farewell.socket.flush(loop)
        farewell.endWriting()
        loop.reactor.schedule(after: patience) { farewell.end() }
    }

    private func endWriting() {
        if !socket.isBlocked { socket.endWriting() }
    }

    func ready(_ readiness: Readiness) {
        let readiness = socket.told(readiness)
        if readiness.contains(.writing) {
            socket.flush(loop)
            endWriting()
        }
        guard readiness.contains(.reading) else { return }
        if socket.receive(loop) == .end { end() }
    }

    private func end() {
        guard !isOver else { return }
        isOver = true
        socket.close(loop)
    }
}
