import TestKit

@testable import NATSClient

/// Runs `body` with a server and a connection whose requests take the way of their own.
func withOwnRequests(_ body: (NATSServerProcess, NATSConnection) async throws -> Void) async throws {
    let server = try await NATSServerProcess.start()
    var options = NATSConnectionOptions(servers: [server.url])
    options.makesManyRequests = true
    let connection = try NATSConnection(options)
    do {
        await connection.untilOwnRequests()
        try await body(server, connection)
    } catch {
        await connection.close(timeout: .zero)
        await server.stop()
        throw error
    }
    await connection.close(timeout: .zero)
    await server.stop()
}

extension NATSConnection {
    /// Returns when requests take the way of their own.
    func untilOwnRequests() async {
        guard let requester else { return }
        let events = requester.connection.events()
        guard !requester.isConnected else { return }
        for await _ in events where requester.isConnected { return }
    }
}
