import EventBus
import EventBusNATS
import Events
import Foundation
import Logging

/// What is measured: programs of the benchmark's own on free ports, and how to publish to them.
protocol MeasuredSystem {
    /// Where WebSockets connect.
    var port: UInt16 { get }

    /// Publishes to everybody on `target`.
    func publish(_ payload: [UInt8], to target: String) throws

    /// Seconds of processor time that its programs have used.
    func processorTime() -> Double

    /// The share of its NATS server.
    func natsProcessorTime() -> Double

    /// Of the program that holds the WebSockets.
    func residentBytes() -> Int
}

struct Failure: Error, CustomStringConvertible { let description: String }

/// A NATS server and a gateway.
final class ApusSystem: MeasuredSystem {
    let port: UInt16
    private let nats: MeasuredProgram
    private let gateway: MeasuredProgram
    private let bus: NATSEventBus

    init(gateway path: String, folder: URL) throws {
        let (nats, address) = try MeasuredProgram.start(
            "/usr/bin/env",
            ["nats-server", "-a", "127.0.0.1", "-p", "-1", "-js", "-sd", folder.appending(path: "streams").path],
            until: #/Listening for client connections on (\S+)/#)
        self.nats = nats
        let configuration = folder.appending(path: "apus.yaml")
        // Subscribers here only read: they answer no ping.
        try """
        gateway:
          anonymous: true
          ping_interval: 1h
          limits: { connections_per_user: 0 }
          namespaces:
            - { name: bench, subscribe: anyone, publish: nobody }
        """.write(to: configuration, atomically: true, encoding: .utf8)
        do {
            let (gateway, listen) = try MeasuredProgram.start(
                path,
                [
                    "--config", configuration.path, "--nats-url", "nats://\(address)", "--gateway-listen",
                    "127.0.0.1:0",
                ], until: #/\blisten=(\S+)/#)
            self.gateway = gateway
            port = try MeasuredProgram.port(in: listen)
        } catch {
            nats.stop()
            throw error
        }
        bus = try NATSEventBus.connect(NATSConfiguration(servers: ["nats://\(address)"]), logger: quiet)
    }

    func publish(_ payload: [UInt8], to target: String) throws {
        try bus.publish(BusMessage(subject: Subjects.standard.channel(try ChannelName(target)), payload: payload))
    }
    func processorTime() -> Double { gateway.processorTime() + nats.processorTime() }
    func natsProcessorTime() -> Double { nats.processorTime() }
    func residentBytes() -> Int { gateway.residentBytes() }
    func close() async { await bus.close(timeout: .seconds(1)) }

    func stop() {
        gateway.stop()
        nats.stop()
    }
}

/// A NATS server whose own WebSocket the subscribers use.
final class PeerSystem: MeasuredSystem {
    let port: UInt16
    private let nats: MeasuredProgram
    private let bus: NATSEventBus

    init(folder: URL) throws {
        let configuration = folder.appending(path: "peer.conf")
        try """
        listen: "127.0.0.1:-1"
        websocket { listen: "127.0.0.1:-1", no_tls: true }
        ping_interval: "1h"
        """.write(to: configuration, atomically: true, encoding: .utf8)
        let (nats, addresses) = try MeasuredProgram.start(
            "/usr/bin/env", ["nats-server", "-c", configuration.path],
            until: #/(?s)(Listening for websocket clients on ws://\S+.*Listening for client connections on \S+)/#)
        self.nats = nats
        guard let socket = addresses.firstMatch(of: #/ws://(\S+)/#),
            let client = addresses.firstMatch(of: #/client connections on (\S+)/#)
        else { throw Failure(description: "nats-server does not say where it listens: \(addresses)") }
        port = try MeasuredProgram.port(in: String(socket.1))
        bus = try NATSEventBus.connect(NATSConfiguration(servers: ["nats://\(client.1)"]), logger: quiet)
    }

    func publish(_ payload: [UInt8], to target: String) throws {
        try bus.publish(BusMessage(subject: target, payload: payload))
    }
    func processorTime() -> Double { nats.processorTime() }
    func natsProcessorTime() -> Double { nats.processorTime() }
    func residentBytes() -> Int { nats.residentBytes() }
    func close() async { await bus.close(timeout: .seconds(1)) }
    func stop() { nats.stop() }
}

private let quiet = Logger(label: "benchmark") { _ in SwiftLogNoOpLogHandler() }
