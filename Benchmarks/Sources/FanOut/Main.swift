import Foundation

/// One backend, one channel, a thousand WebSockets: the gateway's routes beside the WebSocket that nats-server has itself,
/// in the same run, with the same subscribers and the same messages.
@main struct FanOut {
    /// Alternating between the routes spreads whatever else the machine does over all of them.
    static let turns = 6
    static let loads = [Load(messages: 1, rounds: 60), Load(messages: 16, rounds: 12)]

    static func main() async throws {
        guard CommandLine.arguments.count >= 2,
            let connections = CommandLine.arguments.count > 2 ? Int(CommandLine.arguments[2]) : 1000, connections > 0
        else {
            print("usage: FanOut PATH-OF-APUS-GATEWAY [SUBSCRIBERS-OF-EACH-ROUTE]")
            exit(64)
        }
        // Three sockets here for each subscriber; the programs inherit the limit.
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)

        let folder = FileManager.default.temporaryDirectory.appending(path: "apus-bench-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let apus = try ApusSystem(gateway: CommandLine.arguments[1], folder: folder)
        defer { apus.stop() }
        let peer = try PeerSystem(folder: folder)
        defer { peer.stop() }

        var routes = [
            try Route("nats-server, its own WebSocket", peer, target: "bench", connections: connections, Dialect.nats),
            try Route(
                "Apus, plain WebSocket", apus, target: "bench:plain", connections: connections, Dialect.plain),
            try Route(
                "Apus, Centrifuge JSON", apus, target: "bench:centrifuge", connections: connections,
                Dialect.centrifuge),
        ]
        defer { for route in routes { route.close() } }
        for _ in 0..<turns {
            for load in loads {
                for index in routes.indices { try routes[index].run(load) }
            }
        }
        report(routes, connections)
        await apus.close()
        await peer.close()
    }

    // MARK: The report

    private static func report(_ routes: [Route], _ connections: Int) {
        print(
            "fan-out to \(connections) WebSockets, messages of \(Message.length) bytes, the subscribers on this machine too"
        )
        for load in loads {
            print()
            print(
                "\(load.messages) message\(load.messages == 1 ? "" : "s") in flight".padded(34),
                "deliveries/s   CPU s/million   (of it NATS)   p50 ms   p99 ms")
            for route in routes {
                let result = route.results[load.messages, default: Result()]
                print(
                    route.name.padded(34), column(result.rate, 12, digits: 0),
                    column(result.processorPerMillion, 15, digits: 2), column(result.natsPerMillion, 14, digits: 2),
                    column(result.milliseconds(50), 8, digits: 2), column(result.milliseconds(99), 8, digits: 2))
            }
            guard let peer = routes.first?.results[load.messages] else { continue }
            for route in routes.dropFirst() {
                let result = route.results[load.messages, default: Result()]
                print(
                    "  \(route.name) : nats-server".padded(34), column(result.rate / peer.rate, 12, digits: 2),
                    column(result.processorPerMillion / peer.processorPerMillion, 15, digits: 2), "".padded(14),
                    column(result.milliseconds(50) / peer.milliseconds(50), 8, digits: 2),
                    column(result.milliseconds(99) / peer.milliseconds(99), 8, digits: 2))
            }
        }
        print()
        for route in routes {
            print("memory of each connection, \(route.name): \(hundredths(route.memoryPerConnection / 1024)) KiB")
        }
    }

    private static func column(_ value: Double, _ width: Int, digits: Int) -> String {
        let text = value.isFinite ? String(format: "%.\(digits)f", value) : "–"
        return String(repeating: " ", count: max(0, width - text.count)) + text
    }

    private static func hundredths(_ value: Double) -> String { String(format: "%.2f", value) }
}

extension String {
    fileprivate func padded(_ width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}
