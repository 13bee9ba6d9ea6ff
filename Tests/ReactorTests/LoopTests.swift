import Glibc
import Reactor
import Synchronization
import Testing

@Suite("Reactor loop", .timeLimit(.minutes(1)))
struct LoopTests {
    /// An actor that lives on a reactor.
    private actor Resident {
        nonisolated let unownedExecutor: UnownedSerialExecutor
        private var count = 0

        init(_ reactor: Reactor) { unownedExecutor = reactor.asUnownedSerialExecutor() }

        func increment() -> Int {
            count += 1
            return count
        }

        func isOn(_ reactor: Reactor) -> Bool { reactor.isCurrent }
    }

    private final class Seen: Sendable {
        let numbers = Mutex<[Int: [Int]]>([:])

        func fill(_ sender: Int, on reactor: Reactor) async {
            for number in 0..<1000 {
                reactor.execute {
                    #expect(reactor.isCurrent)
                    self.numbers.withLock { $0[sender, default: []].append(number) }
                }
            }
            await withCheckedContinuation { done in reactor.execute { done.resume() } }
        }
    }

    @Test("what is handed over runs on its thread, in the order of each thread that hands over")
    func order() async throws {
        let reactor = try Reactor(name: "test")
        defer { reactor.stop() }
        let seen = Seen()
        await withTaskGroup(of: Void.self) { group in
            for sender in 0..<4 { group.addTask { await seen.fill(sender, on: reactor) } }
        }
        for sender in 0..<4 { #expect(seen.numbers.withLock { $0[sender] } == Array(0..<1000)) }
        #expect(!reactor.isCurrent)
    }

    @Test("what is to be last in a turn runs once, after what was handed over and what came of it")
    func last() async throws {
        let reactor = try Reactor(name: "test")
        defer { reactor.stop() }
        final class Seen: Sendable {
            let texts = Mutex<[String]>([])
        }
        let seen = Seen()
        @Sendable func see(_ text: String) { seen.texts.withLock { $0.append(text) } }
        await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
            reactor.execute {
                reactor.executeLast {
                    see("last")
                    reactor.executeLast { see("last of the next turn") }
                    reactor.execute {
                        see("next turn")
                        reactor.executeLast { done.resume() }
                    }
                }
                see("first")
                reactor.execute {
                    see("second")
                    reactor.execute { see("third") }
                }
            }
        }
        #expect(
            seen.texts.withLock { $0 } == ["first", "second", "third", "last", "next turn", "last of the next turn"])
    }

    @Test("one that sleeps is woken for what is to be last")
    func lastWakes() async throws {
        let reactor = try Reactor(name: "test")
        defer { reactor.stop() }
        for _ in 0..<100 {
            await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
                reactor.executeLast { done.resume() }
            }
        }
    }

    @Test("descriptors have their turn although there is always something handed over")
    func endless() async throws {
        let reactor = try Reactor(name: "test")
        defer { reactor.stop() }
        final class Endless: Sendable {
            let isOver = Atomic<Bool>(false)
            func go(_ reactor: Reactor) {
                guard !isOver.load(ordering: .relaxed) else { return }
                reactor.execute { self.go(reactor) }
            }
        }
        let endless = Endless()
        endless.go(reactor)
        await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
            reactor.execute { _ = reactor.schedule(after: .milliseconds(1)) { done.resume() } }
        }
        await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
            reactor.executeLast { done.resume() }
        }
        endless.isOver.store(true, ordering: .relaxed)
    }

    @Test("an actor of it runs there, and plain calls of it are isolated")
    func actors() async throws {
        let reactor = try Reactor(name: "test")
        defer { reactor.stop() }
        let resident = Resident(reactor)
        #expect(await resident.isOn(reactor))
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<100 { group.addTask { _ = await resident.increment() } }
        }
        let count = await withCheckedContinuation { (done: CheckedContinuation<Int, Never>) in
            reactor.execute { done.resume(returning: resident.assumeIsolated { $0.increment() }) }
        }
        #expect(count == 101)
    }

    @Test("timers fire in the order of their times, and not once cancelled")
    func timers() async throws {
        let reactor = try Reactor(name: "test")
        defer { reactor.stop() }
        let fired = await withCheckedContinuation { (done: CheckedContinuation<[String], Never>) in
            reactor.execute {
                var fired: [String] = []
                reactor.schedule(after: .milliseconds(30)) { done.resume(returning: fired) }
                reactor.schedule(after: .milliseconds(10)) { fired.append("second") }
                let cancelled = reactor.schedule(after: .milliseconds(5)) { fired.append("cancelled") }
                reactor.schedule(after: .zero) {
                    fired.append("first")
                    cancelled.cancel()
                }
            }
        }
        #expect(fired == ["first", "second"])
    }

    /// A pair of sockets: what goes into one comes out of the other.
    private static func pair() -> (Int32, Int32) {
        var ends: [Int32] = [0, 0]
        socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0, &ends)
        return (ends[0], ends[1])
    }

    private final class Handler: ReactorHandler {
        let body: (Readiness) -> Void
        init(_ body: @escaping (Readiness) -> Void) { self.body = body }
        func ready(_ readiness: Readiness) { body(readiness) }
    }

    @Test("a descriptor is told until it is taken, also that it can be written to and that the other side has gone")
    func descriptors() async throws {
        let reactor = try Reactor(name: "test")
        defer { reactor.stop() }
        let (near, far) = Self.pair()
        defer { close(near) }
        let told = await withCheckedContinuation { (done: CheckedContinuation<[String], Never>) in
            reactor.execute {
                var told: [String] = []
                let handler = Handler { readiness in
                    var buffer: [UInt8] = [0, 0]
                    if readiness.contains(.writing) {
                        told.append("writing")
                        reactor.change(near, to: .reading)
                        write(far, "ab", 2)
                    } else if readiness.contains(.hungUp) {
                        told.append("gone")
                        reactor.unwatch(near)
                        done.resume(returning: told)
                    } else {
                        told.append("reading \(read(near, &buffer, 1)) \(buffer[0])")
                        if told.count == 3 { close(far) }
                    }
                }
                reactor.watch(near, for: [.reading, .writing], handler)
            }
        }
        #expect(told == ["writing", "reading 1 97", "reading 1 98", "gone"])
    }

    @Test("who is no longer watched in a turn is not told in it, nor is another that got its number")
    func reuse() async throws {
        let reactor = try Reactor(name: "test")
        defer { reactor.stop() }
        let (one, oneFar) = Self.pair()
        let (two, twoFar) = Self.pair()
        let (third, thirdFar) = Self.pair()
        defer { for end in [one, oneFar, twoFar, third, thirdFar] { close(end) } }
        write(oneFar, "x", 1)
        write(twoFar, "x", 1)
        let told = await withCheckedContinuation { (done: CheckedContinuation<[String], Never>) in
            reactor.execute {
                var told: [String] = []
                // Whichever is told first closes the other and gives its number to a third, which has nothing to read.
                func closing(_ mine: Int32, _ other: Int32, _ name: String) -> Handler {
                    Handler { _ in
                        told.append(name)
                        reactor.unwatch(mine)
                        reactor.unwatch(other)
                        dup2(third, other)
                        reactor.watch(other, for: .reading, Handler { _ in told.append("a stranger's event") })
                        reactor.schedule(after: .milliseconds(20)) {
                            reactor.unwatch(other)
                            done.resume(returning: told)
                        }
                    }
                }
                reactor.watch(one, for: .reading, closing(one, two, "first"))
                reactor.watch(two, for: .reading, closing(two, one, "first"))
            }
        }
        #expect(told == ["first"])
        close(two)
    }

    @Test("a descriptor that cannot be waited for is refused")
    func refused() async throws {
        let reactor = try Reactor(name: "test")
        defer { reactor.stop() }
        let file = open("/", O_RDONLY | O_DIRECTORY)
        defer { close(file) }
        let isWatched = await withCheckedContinuation { (done: CheckedContinuation<Bool, Never>) in
            reactor.execute { done.resume(returning: reactor.watch(file, for: .reading, Handler { _ in })) }
        }
        #expect(!isWatched)
    }
}
