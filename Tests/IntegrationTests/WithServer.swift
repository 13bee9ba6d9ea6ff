import EventBus
import EventBusNATS
import Events
import Foundation
import Logging
import NATSClient
import Synchronization
import TestKit
import Testing

/// Runs `body` with a server of its own and a bus connected to it, and ends both.
func withBus(
    _ change: (inout NATSConfiguration) -> Void = { _ in },
    _ body: (NATSServerProcess, NATSEventBus) async throws -> Void
) async throws {
    let server = try await NATSServerProcess.start()
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

/// Returns when the bus, or the feed, is connected (again).
func connected(_ feed: some MessageFeed) async {
    let events = feed.connectionEvents()
    guard !feed.isConnected else { return }
    await wait(for: .connected, in: events)
}

func wait(for expected: BusConnectionEvent, in events: AsyncStream<BusConnectionEvent>) async {
    for await event in events where event == expected { return }
}

/// What a subscription got, to be awaited one after the other.
final class Received: Sendable {
    private let stream: AsyncStream<BusMessage>
    private let continuation: AsyncStream<BusMessage>.Continuation

    init() { (stream, continuation) = AsyncStream.makeStream(of: BusMessage.self) }

    @Sendable func take(_ message: BusMessage) { continuation.yield(message) }

    func next() async -> BusMessage? {
        for await message in stream { return message }
        return nil
    }
}

/// Holds up the threads that come to it until it is opened.
final class ThreadGate: Sendable {
    private let semaphore = DispatchSemaphore(value: 0)

    func pass() {
        semaphore.wait()
        semaphore.signal()
    }

    func open() { semaphore.signal() }
}

/// What `body` returned or threw.
func result<Success: Sendable>(
    _ body: () async throws(BusError) -> Success
) async -> Result<Success, BusError> {
    do throws(BusError) {
        return .success(try await body())
    } catch {
        return .failure(error)
    }
}

extension Result {
    var failure: Failure? { if case .failure(let error) = self { error } else { nil } }
}

extension [UInt8] {
    init(_ text: String) { self = Array(text.utf8) }
}

extension BusMessage {
    var text: String { String(decoding: payload, as: UTF8.self) }
}
