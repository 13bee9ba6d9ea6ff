import EventBus
import Foundation
import GatewayWire
import Synchronization
import Testing

@testable import GatewaySession

/// A gateway without sockets whose clients cost nothing themselves.
struct FootprintProbe {
    let bus: MemoryBus
    let fixture: ShardFixture
    fileprivate let clock: ProbeClock
    private let transport = AnswerCounter()

    /// What the process has allocated and not freed, in all arenas: `malloc_info`, which Swift's view of the C library lacks.
    static var heapBytes: Int {
        typealias Report = @convention(c) (CInt, UnsafeMutablePointer<FILE>) -> CInt
        var text: UnsafeMutablePointer<CChar>?
        var length = 0
        guard let symbol = dlsym(nil, "malloc_info"), let file = open_memstream(&text, &length) else { return 0 }
        _ = unsafeBitCast(symbol, to: Report.self)(0, file)
        fclose(file)
        defer { free(text) }
        let report = text.map { String(cString: $0) } ?? ""
        // The sums over all arenas come last.
        func size(_ element: String) -> Int {
            let line = report.components(separatedBy: element).last ?? ""
            return Int(line.components(separatedBy: #"size=""#).dropFirst().first?.prefix { $0.isNumber } ?? "") ?? 0
        }
        let free = size(#"<total type="fast""#) + size(#"<total type="rest""#)
        return size(#"<system type="current""#) - free + size(#"<total type="mmap""#)
    }

    static func run(_ body: (FootprintProbe) async throws -> Void) async throws {
        let bus = MemoryBus()
        let limits = GatewayLimits(connections: nil, connectionMessagesPerSecond: nil, userMessagesPerMinute: nil)
        let clock = ProbeClock()
        let fixture = ShardFixture(
            node: "a", bus: bus, limits: limits, namespaces: FootprintProbe.namespaces, moment: { clock.now })
        let probe = FootprintProbe(bus: bus, fixture: fixture, clock: clock)
        try await ShardFixture.run([probe.fixture], bus) { try await body(probe) }
    }

    /// Without the channels that users are on by themselves.
    private static let namespaces = NamespaceTable(configured: [
        Namespace(name: "user", subscribe: .nobody), Namespace(name: "quiet", subscribe: .authenticated),
    ])

    static func report(_ bytes: Int, each count: Int) { print("bytes each:", bytes / count) }

    static func figure(_ output: [UInt8]) throws -> Int {
        let text = String(decoding: output, as: UTF8.self)
        return try #require(Int(text.split(separator: ":").last?.trimmingCharacters(in: .whitespacesAndNewlines) ?? ""))
    }

    /// Opens connections of one user each that know who they are, then subscribes all of them.
    @discardableResult
    func connect(_ count: Int, channels: [String]) async throws -> [ConnectionID] {
        let shard = fixture.shard
        let transport = self.transport
        let first = transport.makeNumbers(count)
        await transport.expect(count) {
            await shard.connect(count, firstUser: first, transport)
        }
        let ids = await shard.allConnections.suffix(count)
        for channel in channels { try await subscribe(Array(ids), to: { _ in channel }) }
        return Array(ids)
    }

    /// Subscribes each to a channel that `name` gives for its place, and returns when all are.
    func subscribe(_ ids: [ConnectionID], to name: @escaping @Sendable (Int) -> String) async throws {
        let shard = fixture.shard
        await transport.expect(ids.count) { await shard.subscribe(ids, to: name) }
    }

    /// Lets time pass, and the gateway do what it does each second.
    func pass(_ duration: Duration) async {
        clock.advance(by: duration)
        await fixture.shard.tick()
        fixture.hub.sweep(now: clock.now)
        await fixture.shard.tick()
    }

    func close(_ ids: [ConnectionID]) async { await fixture.shard.close(ids) }
}

/// A clock that stands still unless it is moved.
private final class ProbeClock: Sendable {
    private let moment = Mutex(Moment(milliseconds: 1_000_000))

    var now: Moment { moment.withLock { $0 } }

    func advance(by duration: Duration) { moment.withLock { $0 = $0.advanced(by: duration) } }
}

extension Shard {
    fileprivate func connect(_ count: Int, firstUser: Int, _ transport: AnswerCounter) {
        for number in 0..<count {
            let id = open(.centrifugeJSON, codec: CentrifugeJSON(), manner: .commands, transport: transport)
            receive(Array(#"{"id":1,"connect":{"token":"bare-\#(firstUser + number)"}}"#.utf8), from: id)
        }
    }

    fileprivate var allConnections: [ConnectionID] { connections.keys.sorted { $0.number < $1.number } }

    fileprivate func subscribe(_ ids: [ConnectionID], to name: (Int) -> String) {
        for (index, id) in ids.enumerated() {
            receive(Array(#"{"id":2,"subscribe":{"channel":"\#(name(index))"}}"#.utf8), from: id)
        }
    }

    fileprivate func close(_ ids: [ConnectionID]) { for id in ids { closed(id) } }
}

/// Counts what is written, for all connections, and keeps nothing of it.
private final class AnswerCounter: Transport, Sendable {
    private struct State {
        var count = 0
        var users = 0
        var awaited: (count: Int, CheckedContinuation<Void, Never>)?
    }

    private let state = Mutex(State())

    /// - Returns: the first of so many numbers that nobody else gets.
    func makeNumbers(_ count: Int) -> Int {
        state.withLock { state in
            defer { state.users += count }
            return state.users
        }
    }

    /// Does `body` and returns when so many frames were written since it began.
    func expect(_ count: Int, _ body: () async -> Void) async {
        state.withLock { $0.count = 0 }
        await body()
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                if state.count >= count { return true }
                state.awaited = (count, continuation)
                return false
            }
            if isThere { continuation.resume() }
        }
    }

    func write(_ bytes: [UInt8]) {
        let ready = state.withLock { state -> CheckedContinuation<Void, Never>? in
            state.count += 1
            guard let awaited = state.awaited, state.count >= awaited.count else { return nil }
            state.awaited = nil
            return awaited.1
        }
        ready?.resume()
    }

    func write(_ frame: SharedFrame) { frame.forEachMessage(write) }
    func flush() {}
    var outstandingBytes: Int { 0 }
    func start() {}
    func ping() {}
    func close(_ disconnect: Disconnect) {}
}
