import EventBus
import EventBusNATS
import Events
import Logging
import NATSClient
import TestKit

/// Runs `body` with a server of its own and a bus connected to it, and ends both.
func withBus(
    serverConfiguration: String = "", _ change: (inout NATSConfiguration) -> Void = { _ in },
    _ body: (NATSServerProcess, NATSEventBus) async throws -> Void
) async throws {
    let server = try await NATSServerProcess.start(configuration: serverConfiguration)
    var configuration = NATSConfiguration(servers: [server.url], name: "test")
    change(&configuration)
    let bus = try NATSEventBus.connect(configuration, logger: silent)
    do {
        try await body(server, bus)
    } catch {
        await bus.close(timeout: .zero)
        await server.stop()
        throw error
    }
    await bus.close(timeout: .seconds(2))
    await server.stop()
}

let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// Waits until the bus says that it is connected (again).
func connected(_ bus: some EventBus) async {
    let events = bus.connectionEvents()
    guard !bus.isConnected else { return }
    for await event in events where event == .connected { return }
}

extension [UInt8] {
    init(_ text: String) { self = Array(text.utf8) }
}

extension BusMessage {
    var text: String { String(decoding: payload, as: UTF8.self) }
}
