import EventBus
import EventBusNATS
import Events
import Foundation
import Logging

/// One backend, one channel, a thousand WebSockets: NATS and the gateway are the real programs.
@main struct FanOut {
    static let connections = 1000

    static func main() async throws {
        guard CommandLine.arguments.count == 2 else {
            print("usage: FanOut PATH-OF-APUS-GATEWAY")
            exit(64)
        }
        let system = try MeasuredSystem(gateway: CommandLine.arguments[1])
        defer { system.stop() }
        let bus = try NATSEventBus.connect(
            NATSConfiguration(servers: [system.natsURL]), logger: Logger(label: "benchmark"))
        let clock = ContinuousClock()
        let origin = clock.now
        let subject = Subjects.standard.channel(try ChannelName("bench:all"))
        var subscribers = try Subscribers(count: connections, port: system.gatewayPort, channel: "bench:all")

        // A message below 126 bytes would have a header of two bytes.
        let frame = Message.length + 4
        func publish() throws {
            try bus.publish(BusMessage(subject: subject, payload: Message.make(sent: clock.now - origin)))
        }
        func receive(_ messages: Int) throws {
            try subscribers.receive(bytes: messages * connections * frame, frame: frame, clock: clock, origin: origin)
        }

        for _ in 0..<20 { try publish() }
        try receive(20)  // warm
        let memory = system.residentBytes()

        print("fan-out to \(connections) plain WebSockets, messages of \(Message.length) bytes")
        for (burst, rounds) in [(1, 400), (16, 60)] {
            let before = subscribers.latencies.count
            let processor = system.processorTime()
            let time = try clock.measure {
                for _ in 0..<rounds {
                    for _ in 0..<burst { try publish() }
                    try receive(burst)
                }
            }
            let deliveries = Double(rounds * burst * connections)
            let latencies = subscribers.latencies[before...].sorted()
            let used = system.processorTime() - processor
            print(
                "  \(burst) at once:  \(Int(deliveries / (time / .seconds(1)))) deliveries/s,",
                "gateway \(hundredths(used / deliveries * 1e6)) s of processor per million,",
                "last subscriber after \(milliseconds(latencies, 0.5)) ms (median), \(milliseconds(latencies, 0.99)) ms (p99)"
            )
        }
        print("  gateway's memory with them: \(memory / 1024 / 1024) MiB")
        subscribers.close()
        await bus.close(timeout: .seconds(1))
    }

    private static func milliseconds(_ sorted: [Duration], _ part: Double) -> String {
        sorted.isEmpty
            ? "–" : hundredths(sorted[min(sorted.count - 1, Int(Double(sorted.count) * part))] / .milliseconds(1))
    }

    private static func hundredths(_ value: Double) -> String { "\((value * 100).rounded() / 100)" }
}
