import EventBus
import EventBusNATS
import Foundation
import Glibc
import Logging
import NATSClient
import Reactor
import Synchronization
import TestKit
import Testing

/// Runs `body` with a server of its own, a bus, and a feed that falls back to it; returns when both are connected.
func withFeed(
    server configuration: String = "", _ body: (NATSServerProcess, NATSEventBus, any MessageFeed) async throws -> Void
) async throws {
    let server = try await NATSServerProcess.start(configuration: configuration)
    let reactor = try Reactor(name: "feed")
    defer { reactor.stop() }
    let nats = NATSConfiguration(servers: [server.url], name: "test")
    let bus = try NATSEventBus.connect(nats, logger: silent)
    let feed = NATSMessageFeed.make(nats, bus: bus, on: reactor, logger: silent)
    #expect(feed is NATSMessageFeed)
    await connected(feed)
    let result = await Result { try await body(server, bus, feed) }
    (feed as? NATSMessageFeed)?.close()
    await bus.close(timeout: .seconds(1))
    await server.stop()
    try result.get()
}

extension Result where Failure == any Error {
    fileprivate init(_ body: () async throws -> Success) async {
        do {
            self = .success(try await body())
        } catch {
            self = .failure(error)
        }
    }
}

/// Waits until `count` messages have come, and says in which order.
final class Collector: CoreReceiver {
    private let inbox = Inbox<String>()

    func receive(_ message: CoreMessage) {
        inbox.append(String(decoding: message.payload, as: UTF8.self))
    }

    func wait(for count: Int) async throws -> [String] { try await inbox.wait(for: count) }
}

/// A server that says what a test wants it to say, to everybody who connects.
final class FakeServer: Sendable {
    let port: Int
    private let listener: Int32
    /// How many have connected.
    let visitors = Inbox<Int32>()

    init(saying bytes: [UInt8]) throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(listener, $0, size) }
        }
        guard bound == 0, listen(listener, 16) == 0 else { throw POSIXError(.EADDRINUSE) }
        var length = size
        _ = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(listener, $0, &length) }
        }
        port = Int(UInt16(bigEndian: address.sin_port))
        self.listener = listener
        let visitors = visitors
        Thread.detachNewThread {
            while true {
                let visitor = accept(listener, nil, nil)
                guard visitor >= 0 else { return }
                _ = bytes.withUnsafeBytes { send(visitor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
                visitors.append(visitor)
            }
        }
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
        for visitor in visitors.elements { close(visitor) }
    }
}

/// What was logged, for tests that a person is told what to do.
final class LogLines: Sendable {
    let lines = Inbox<String>()

    var logger: Logger { Logger(label: "test") { _ in Handler(lines: self.lines) } }

    private struct Handler: LogHandler {
        let lines: Inbox<String>
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            lines.append("\(event.level) \(event.message) \(event.metadata ?? [:])")
        }
    }
}
