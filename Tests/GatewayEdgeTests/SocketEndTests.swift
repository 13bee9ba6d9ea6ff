import GatewaySession
import Glibc
import Reactor
import Synchronization
import TestKit
import Testing

@testable import GatewayEdge

/// Our end of a connection, over a pair of sockets.
@Suite(.timeLimit(.minutes(1))) struct SocketEndTests {
    /// Writes what it is told to, and goes on when the loop says so.
    private final class Writer: ReactorHandler {
        var socket: SocketEnd
        let loop: EdgeLoop
        let onDone: (Bool) -> Void

        init(_ descriptor: Int32, _ loop: EdgeLoop, onDone: @escaping (Bool) -> Void) {
            socket = SocketEnd(descriptor: descriptor)
            self.loop = loop
            self.onDone = onDone
        }

        func write(_ pieces: [[UInt8]]) {
            for piece in pieces { socket.append(piece) }
            socket.flush(loop)
            tell()
        }

        func ready(_ readiness: Readiness) {
            if readiness.contains(.hungUp) { socket.flush(loop) }
            if readiness.contains(.writing) { socket.flush(loop) }
            tell()
        }

        private func tell() {
            guard socket.isBroken || socket.queuedBytes == 0 else { return }
            onDone(socket.isBroken)
            socket.close(loop)
        }
    }

    /// Runs `body` with a loop and a pair of sockets whose near end holds little.
    private func withPair(_ body: (EdgeLoop, _ near: Int32, _ far: Int32) async throws -> Void) async throws {
        try await ShardHarness.run { harness in
            let reactor = try Reactor(name: "test")
            defer { reactor.stop() }
            let loop = EdgeLoop(
                reactor: reactor, shard: harness.shard, limits: GatewayLimits(),
                admission: ConnectionAdmission(maximum: nil, metrics: GatewayMetrics()))
            var ends: [Int32] = [0, 0]
            socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends)
            _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
            var size: Int32 = 4096
            setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, 4)
            try await body(loop, ends[0], ends[1])
        }
    }

    /// Waits on the loop until everything is written or cannot be.
    private func write(_ pieces: [[UInt8]], to descriptor: Int32, _ loop: EdgeLoop) async -> Bool {
        await withCheckedContinuation { (done: CheckedContinuation<Bool, Never>) in
            loop.reactor.execute {
                let writer = Writer(descriptor, loop) { done.resume(returning: $0) }
                loop.reactor.watch(descriptor, for: .reading, writer)
                writer.write(pieces)
            }
        }
    }

    @Test("pieces of any size arrive whole and in order, however slowly they are read", arguments: 0..<12)
    func order(_ seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let pieces = (0..<Int.random(in: 1...30, using: &random)).map { _ in
            let size = [0, 1, 100, 1000, 5000, 40_000].randomElement(using: &random) ?? 1
            return (0..<size).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        }
        let reads = (0..<50).map { _ in Int.random(in: 1...60_000, using: &random) }
        try await withPair { loop, near, far in
            let expected = Array(pieces.joined())
            let reader = Thread { () -> [UInt8] in
                var all: [UInt8] = []
                var turn = 0
                while all.count < expected.count {
                    var buffer = [UInt8](repeating: 0, count: reads[turn % reads.count])
                    let count = read(far, &buffer, buffer.count)
                    guard count > 0 else { break }
                    all += buffer[..<count]
                    turn += 1
                }
                return all
            }
            let isBroken = await write(pieces, to: near, loop)
            let arrived = await reader.value
            #expect(!isBroken && arrived == expected, "seed \(seed)")
            close(far)
        }
    }

    @Test("a client that goes while it is written to leaves nothing waiting")
    func broken() async throws {
        try await withPair { loop, near, far in
            async let isBroken = write([Array(repeating: 7, count: 1 << 20)], to: near, loop)
            var byte: UInt8 = 0
            read(far, &byte, 1)
            close(far)
            #expect(await isBroken)
        }
    }

    @Test("what was handed over is no longer ours to write to or to close")
    func handOver() async throws {
        try await withPair { loop, near, far in
            await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
                loop.reactor.execute {
                    var first = SocketEnd(descriptor: near)
                    first.append([1])
                    var second = first.handOver()
                    first.append([2])
                    first.flush(loop)
                    first.close(loop)
                    second.append([3])
                    second.flush(loop)
                    second.close(loop)
                    second.close(loop)
                    done.resume()
                }
            }
            var buffer = [UInt8](repeating: 0, count: 10)
            #expect(read(far, &buffer, 10) == 2)
            #expect(buffer.prefix(2) == [1, 3])
            close(far)
        }
    }
}

/// Something that blocks, on a thread of its own.
private final class Thread<Value: Sendable>: Sendable {
    private let result: Mutex<(value: Value?, waiter: CheckedContinuation<Value, Never>?)> = Mutex((nil, nil))

    init(_ body: @escaping @Sendable () -> Value) {
        let box = Unmanaged.passRetained(Box { [self] in finish(body()) }).toOpaque()
        var thread = pthread_t()
        pthread_create(&thread, nil, runBox, box)
        pthread_detach(thread)
    }

    private func finish(_ value: Value) {
        let waiter = result.withLock { result in
            result.value = value
            return result.waiter
        }
        waiter?.resume(returning: value)
    }

    var value: Value {
        get async {
            await withCheckedContinuation { continuation in
                let value = result.withLock { result in
                    if result.value == nil { result.waiter = continuation }
                    return result.value
                }
                if let value { continuation.resume(returning: value) }
            }
        }
    }
}

private final class Box {
    let body: () -> Void
    init(_ body: @escaping () -> Void) { self.body = body }
}

private let runBox: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { box in
    guard let box else { return nil }
    Unmanaged<Box>.fromOpaque(box).takeRetainedValue().body()
    return nil
}
