import EventBus
import Events
import GatewaySession
import GatewayWire
import JSON
import Logging
import Synchronization
import TestKit
import Testing

/// Presence of two gateways over the bus in memory, their clock moved by hand.
@Suite(.timeLimit(.minutes(1))) struct PresenceServiceTests {
    /// A gateway's presence and what its subscribers were told.
    private final class Gateway: Sendable {
        let service: PresenceService
        private let told: Told

        private final class Told: Sendable {
            let batches = Mutex<[[PresenceChange]]>([])
        }

        init(_ node: String, _ bus: any EventBus, _ time: Time, lease: Duration = .seconds(10)) {
            let told = Told()
            self.told = told
            service = PresenceService(
                node: node, bus: bus, subjects: .standard, lease: lease, linger: .seconds(4),
                logger: Logger(label: "test"), clock: { time.now },
                onChange: { changes in told.batches.withLock { $0.append(changes) } })
        }

        var batches: [[PresenceChange]] { told.batches.withLock { $0 } }
        var changes: [String] { batches.flatMap { $0 }.map { "\($0.kind) \($0.info.client)" } }
        func users(_ channel: ChannelName) -> [String] { service.members(of: channel).map(\.user).sorted() }
    }

    private final class Time: Sendable {
        private let moment = Mutex(Moment(milliseconds: 0))
        var now: Moment { moment.withLock { $0 } }
        func pass(_ duration: Duration) { moment.withLock { $0 = $0.advanced(by: duration) } }
    }

    private let bus = MemoryBus()
    private let time = Time()
    private let lobby: ChannelName

    init() throws { lobby = try ChannelName("room:lobby") }

    private func ann(_ client: String) -> ClientInfo { ClientInfo(client: client, user: "ann", info: ["n": 1]) }

    /// Two gateways that know of one another.
    private func pair() async throws -> (a: Gateway, b: Gateway, busOfA: MemoryBus, running: [any BusSubscription]) {
        let busOfA = bus.anotherConnection()
        let a = Gateway("a", busOfA, time)
        let b = Gateway("b", bus.anotherConnection(), time)
        let running = [try a.service.listen(), try b.service.listen()]
        try await pass(0.3, a, b)
        return (a, b, busOfA, running)
    }

    /// Lets time pass in steps, in each of which the gateways do what is due and hear of one another.
    private func pass(_ seconds: Double, step: Double = 0.05, _ gateways: Gateway...) async throws {
        for _ in 0..<Int((seconds / step).rounded(.up)) {
            time.pass(.milliseconds(Int64(step * 1000)))
            for gateway in gateways { gateway.service.step(now: time.now) }
            try await delivered()
        }
    }

    /// Returns when everything that was published has been delivered: messages come one at a time, in order.
    private func delivered() async throws {
        let inbox = Inbox<BusMessage>()
        let subscription = try inbox.subscribe(to: "test.delivered", on: bus)
        defer { subscription.cancel() }
        try bus.publish(BusMessage(subject: "test.delivered", payload: []))
        try await inbox.wait(for: 1)
    }

    @Test("who comes to one gateway is present on the other, and told there")
    func announces() async throws {
        let (a, b, _, running) = try await pair()
        a.service.join(lobby, ann("1"))
        #expect(a.users(lobby) == ["ann"], "at once where it came")
        try await pass(0.1, a, b)
        #expect(b.service.members(of: lobby) == [ann("1")])
        #expect(a.changes == ["joined 1"])
        #expect(b.changes == ["joined 1"])
        a.service.leave(lobby, client: "1")
        try await pass(0.1, a, b)
        #expect(b.changes == ["joined 1", "left 1"])
        #expect(b.users(lobby).isEmpty)
        for subscription in running { subscription.cancel() }
    }

    @Test("nothing is due between heartbeats while nobody comes or goes; what happens is due when it must be told")
    func due() async throws {
        let (a, b, _, running) = try await pair()
        // The heartbeat that is due now, and what follows from it.
        time.pass(.seconds(3))
        try await pass(0.1, a, b)
        let quiet = time.now
        #expect(quiet < a.service.due(now: quiet))
        #expect(a.service.due(now: quiet) <= quiet.advanced(by: .milliseconds(2500)))
        a.service.join(lobby, ann("1"))
        #expect(a.service.due(now: quiet) == quiet)
        try await pass(0.1, a, b)
        #expect(time.now < a.service.due(now: time.now))
        // Its connection broke: announced now, and told when it has not come back for so long.
        a.service.leave(lobby, client: "1", lingers: true)
        let broken = time.now
        #expect(a.service.due(now: broken) == broken)
        try await pass(2.5, a, b)
        let end = broken.advanced(by: .seconds(4))
        while a.service.due(now: time.now) < end {
            time.pass(.milliseconds(50))
            a.service.step(now: time.now)
            b.service.step(now: time.now)
            try await delivered()
        }
        #expect(a.service.due(now: time.now) == end, "before the next heartbeat")
        #expect(b.service.due(now: time.now) <= end.advanced(by: PresenceService.tick * 2), "which heard of it later")
        for subscription in running { subscription.cancel() }
    }

    @Test("a gateway that rests is woken by whoever comes, here or elsewhere, and by the end of its task")
    func rests() async throws {
        let start = ContinuousClock.now
        let changes = Inbox<PresenceChange>()
        func service(_ node: String, lease: Duration, _ told: @escaping @Sendable (PresenceChange) -> Void)
            -> PresenceService
        {
            PresenceService(
                node: node, bus: bus.anotherConnection(), subjects: .standard, lease: lease, linger: .seconds(4),
                logger: Logger(label: "test"),
                clock: { Moment(milliseconds: Int64(start.duration(to: .now) / .milliseconds(1))) },
                onChange: { for change in $0 { told(change) } })
        }
        // So that no heartbeat is due for a quarter of an hour.
        let here = service("here", lease: .seconds(3600)) { changes.append($0) }
        let there = service("there", lease: .seconds(3600)) { _ in }
        let running = [Task { try await here.run() }, Task { try await there.run() }]
        for client in ["1", "2", "3"] {
            // A rest begins when a tick has passed in which nothing came.
            try await Task.sleep(for: PresenceService.tick * 3)
            here.join(lobby, ClientInfo(client: client, user: client))
            there.join(lobby, ClientInfo(client: "there-\(client)", user: "there-\(client)"))
            while here.statistics(of: lobby).clients < 2 * Int(client)! { await Task.yield() }
        }
        try await changes.wait(for: 6)
        for task in running { task.cancel() }
        for task in running { try await task.value }
    }

    @Test("a crowd that comes in one tick is told in one batch and announced in few messages")
    func crowd() async throws {
        let (a, b, _, running) = try await pair()
        let heard = Mutex<[Int]>([])
        let listening = try bus.subscribe(Subjects.standard.control("presence")) { message in
            heard.withLock { $0.append(message.payload.count) }
        }
        for number in 0..<3000 {
            a.service.join(lobby, ClientInfo(client: "client-\(number)", user: "user-\(number)"))
        }
        try await pass(0.1, a, b)
        #expect(a.batches.map(\.count) == [3000])
        #expect(b.batches.flatMap { $0 }.count == 3000)
        #expect(b.batches.count <= 2)
        #expect(b.service.statistics(of: lobby) == PresenceStatistics(clients: 3000, users: 3000))
        let sizes = heard.withLock { $0 }
        #expect(sizes.count < 10)
        #expect(sizes.allSatisfy { $0 <= PresenceCodec.maximumBytes })
        for subscription in running + [listening] { subscription.cancel() }
    }

    @Test("a client that drops and comes back to the other gateway shows no leave and no join on either")
    func blink() async throws {
        let (a, b, _, running) = try await pair()
        a.service.join(lobby, ann("1"))
        try await pass(1, a, b)
        a.service.leave(lobby, client: "1", lingers: true)
        try await pass(2, a, b)
        #expect(a.users(lobby) == ["ann"])
        #expect(b.users(lobby) == ["ann"])
        b.service.join(lobby, ann("2"))
        try await pass(20, step: 0.5, a, b)
        #expect(a.changes == ["joined 1"])
        #expect(b.changes == ["joined 1"])
        #expect(a.users(lobby) == ["ann"])
        // Back before anybody knows that it had gone.
        a.service.join(lobby, ann("3"))
        b.service.leave(lobby, client: "2", lingers: true)
        try await pass(1, a, b)
        try await pass(20, step: 0.5, a, b)
        #expect(a.changes == ["joined 1"])
        #expect(b.changes == ["joined 1"])
        #expect(b.users(lobby) == ["ann"])
        for subscription in running { subscription.cancel() }
    }

    @Test("a dead gateway's clients are gone after the lease, and not before")
    func lease() async throws {
        let (a, b, _, running) = try await pair()
        a.service.join(lobby, ann("1"))
        try await pass(2.1, a, b)
        running[0].cancel()
        // Its last heartbeat was a moment ago at the most.
        try await pass(9.5, step: 0.25, b)
        #expect(b.users(lobby) == ["ann"])
        try await pass(3.5, step: 0.25, b)
        #expect(b.users(lobby).isEmpty)
        #expect(b.changes == ["joined 1", "left 1"])
        running[1].cancel()
    }

    @Test("a gateway that was cut off from the bus comes back right, and takes nobody for dead meanwhile")
    func cutOff() async throws {
        let (a, b, busOfA, running) = try await pair()
        a.service.join(lobby, ann("1"))
        let bob = ClientInfo(client: "2", user: "bob")
        b.service.join(lobby, bob)
        try await pass(1, a, b)
        busOfA.setConnected(false)
        try await pass(30, step: 0.5, a, b)
        #expect(b.users(lobby) == ["bob"])
        #expect(a.users(lobby) == ["ann", "bob"], "it is the one that hears nothing")
        a.service.leave(lobby, client: "1")
        a.service.join(lobby, ann("3"))
        b.service.join(lobby, ClientInfo(client: "4", user: "carl"))
        busOfA.setConnected(true)
        try await pass(5, step: 0.25, a, b)
        #expect(a.users(lobby) == ["ann", "bob", "carl"])
        #expect(b.users(lobby) == ["ann", "bob", "carl"])
        try await pass(30, step: 0.5, a, b)
        #expect(a.users(lobby) == b.users(lobby))
        for subscription in running { subscription.cancel() }
    }

    @Test("a gateway that is cut off does not look without a pause for others, whose time is over and who may live")
    func cutOffRests() async throws {
        final class Looks: Sendable {
            let start = ContinuousClock.now
            let count = Atomic<Int>(0)
            func now() -> Moment {
                count.add(1, ordering: .relaxed)
                return Moment(milliseconds: Int64(start.duration(to: .now) / .milliseconds(1)))
            }
        }
        let looks = Looks()
        let (busOfA, lease) = (bus.anotherConnection(), Duration.milliseconds(200))
        let told = Inbox<PresenceChange>()
        func service(
            _ node: String, _ bus: MemoryBus, _ clock: @escaping @Sendable () -> Moment,
            _ onChange: @escaping @Sendable ([PresenceChange]) -> Void
        ) -> PresenceService {
            PresenceService(
                node: node, bus: bus, subjects: .standard, lease: lease, logger: Logger(label: "test"), clock: clock,
                onChange: onChange)
        }
        let a = service("a", busOfA, looks.now) { for change in $0 { told.append(change) } }
        let b = service("b", bus.anotherConnection(), Looks().now) { _ in }
        let running = [Task { try await a.run() }, Task { try await b.run() }]
        b.join(lobby, ann("1"))
        try await told.wait(for: 1)
        busOfA.setConnected(false)
        try await Task.sleep(for: lease * 3)
        let before = looks.count.load(ordering: .relaxed)
        try await Task.sleep(for: PresenceService.tick * 10)
        // Some looks for each tick; without a pause it is tens of thousands.
        #expect(looks.count.load(ordering: .relaxed) - before < 500)
        #expect(a.members(of: lobby).count == 1, "it is the one that hears nothing")
        for task in running { task.cancel() }
        for task in running { try? await task.value }
    }

    @Test("an announcement that got lost is mended by the next heartbeat")
    func lost() async throws {
        let (a, b, busOfA, running) = try await pair()
        busOfA.inject(.fails(BusError(.notConnected, "full")), into: .publish)
        a.service.join(lobby, ann("1"))
        try await pass(0.1, a, b)
        #expect(b.users(lobby).isEmpty, "it was lost")
        try await pass(3, a, b)
        #expect(b.users(lobby) == ["ann"])
        #expect(b.changes == ["joined 1"])
        for subscription in running { subscription.cancel() }
    }

    @Test("a gateway that stops keeps its clients listed for the linger time: they come back elsewhere unseen")
    func goodbye() async throws {
        let a = Gateway("a", bus.anotherConnection(), time)
        let b = Gateway("b", bus.anotherConnection(), time)
        let running = try b.service.listen()
        a.service.join(lobby, ann("1"))
        a.service.join(lobby, ClientInfo(client: "2", user: "bob"))
        let life = Task { try await a.service.run() }
        while b.users(lobby).isEmpty { try await pass(0.05, b) }
        life.cancel()
        try await life.value
        try await pass(1, b)
        #expect(b.users(lobby) == ["ann", "bob"])
        b.service.join(lobby, ann("3"))
        try await pass(10, step: 0.25, b)
        #expect(b.users(lobby) == ["ann"])
        #expect(b.changes.sorted() == ["joined 1", "joined 2", "left 2"])
        running.cancel()
    }
}
