import Foundation
import Histogram

/// How much is sent: so many messages at once, each time until all subscribers have all of them.
struct Load {
    let messages: Int
    let rounds: Int
}

/// What was measured under one load.
struct Result {
    var deliveries = 0
    var time = Duration.zero
    var processor = 0.0
    var nats = 0.0
    /// Nanoseconds from the publish to a subscriber's read, of some of the subscribers.
    var latencies = Histogram<UInt64>(numberOfSignificantValueDigits: .three)

    var rate: Double { Double(deliveries) / (time / .seconds(1)) }
    var processorPerMillion: Double { processor / Double(deliveries) * 1e6 }
    var natsPerMillion: Double { nats / Double(deliveries) * 1e6 }
    func milliseconds(_ percentile: Double) -> Double { Double(latencies.valueAtPercentile(percentile)) / 1e6 }
}

/// One way from a publisher to subscribers, and what was found out about it.
struct Route {
    let name: String
    private(set) var results: [Int: Result] = [:]
    private(set) var memoryPerConnection = 0.0
    private let connections: Int
    private let target: String
    private let system: any MeasuredSystem
    private var subscribers: Subscribers

    /// Opens the connections, sends them a few messages, and looks what they take.
    /// - Parameter target: where messages for them are published.
    init(
        _ name: String, _ system: any MeasuredSystem, target: String, connections: Int, _ dialect: (String) -> Dialect
    ) throws {
        self.name = name
        self.system = system
        self.target = target
        self.connections = connections
        let memory = system.residentBytes()
        subscribers = try Subscribers(count: connections, port: system.port, dialect: dialect(target))
        for _ in 0..<20 { try publishAndReceive(1) }
        memoryPerConnection = Double(system.residentBytes() - memory) / Double(connections)
    }

    func close() { subscribers.close() }

    mutating func publishAndReceive(_ messages: Int) throws {
        for _ in 0..<messages { try system.publish(Message.make(sent: .now), to: target) }
        try subscribers.receive(messages)
    }

    mutating func run(_ load: Load) throws {
        subscribers.latencies.reset()
        let (processor, nats) = (system.processorTime(), system.natsProcessorTime())
        let start = ContinuousClock.now
        for _ in 0..<load.rounds { try publishAndReceive(load.messages) }
        var result = results[load.messages, default: Result()]
        result.time += .now - start
        result.processor += system.processorTime() - processor
        result.nats += system.natsProcessorTime() - nats
        result.deliveries += load.messages * load.rounds * connections
        for value in subscribers.latencies.recordedValues() { result.latencies.record(value.value, count: value.count) }
        results[load.messages] = result
    }
}
