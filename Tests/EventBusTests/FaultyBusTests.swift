import EventBus
import Events
import Synchronization
import TestKit
import Testing

/// What other tests rely on: a fault happens before or after its call, and a dead process does nothing any more.
@Suite(.timeLimit(.minutes(1))) struct FaultyBusTests {
    private static let stream = StreamSpecification(name: "S", subjects: ["s.>"])
    private let memory = MemoryBus()

    @Test("without faults it is the bus below", arguments: EventBusContract.cases)
    func contract(_ contract: EventBusContract.Case) async throws {
        try await contract.run(on: FaultyBus(memory) { _ in nil })
    }

    @Test("of a call that is refused nothing has happened, and of one without an answer all")
    func faults() async throws {
        try await memory.ensureStream(Self.stream)
        let bus = FaultyBus(memory) { call in
            guard call.operation == .append else { return nil }
            return call.target == "s.refused" ? FaultyBus.Fault.outages[0] : FaultyBus.Fault.outages[1]
        }
        await #expect(throws: BusError.self) { try await bus.append(BusMessage(subject: "s.refused")) }
        await #expect(throws: BusError.self) { try await bus.append(BusMessage(subject: "s.unanswered")) }
        #expect(try await bus.subjectCounts(in: "S", matching: ">") == ["s.unanswered": 1])
    }

    @Test("buckets and the answers to deliveries are seen with what they are about")
    func calls() async throws {
        try await memory.ensureStream(Self.stream)
        let calls = Mutex<[BusCall]>([])
        let bus = FaultyBus(memory) { call in
            calls.withLock { $0.append(call) }
            return nil
        }
        let bucket = try await bus.keyValue(BucketSpecification(name: "B"))
        try await bucket.put("key", [1])
        try await bus.append(BusMessage(subject: "s.one"))
        let consumer = try await bus.consumer(ConsumerSpecification(stream: "S", name: "C", filter: "s.>"))
        try await #require(consumer.fetch(1, wait: .seconds(5)).first).acknowledge()
        let seen = calls.withLock { $0 }.map { "\($0.operation) \($0.target)" }
        #expect(seen == ["keyValue B", "put key", "append s.one", "consumer C", "fetch C", "acknowledge s.one"])
    }

    @Test("a process that has died does nothing any more", arguments: CrashPoint.Moment.allCases)
    func death(moment: CrashPoint.Moment) async throws {
        try await memory.ensureStream(Self.stream)
        let crash = CrashPoint()
        let bus = FaultyBus(memory, dyingAt: crash)
        try await bus.append(BusMessage(subject: "s.0"))
        crash.arm(2, moment)
        try await bus.append(BusMessage(subject: "s.1"))
        #expect(!crash.hasHappened)
        await #expect(throws: BusError.self) { try await bus.append(BusMessage(subject: "s.2")) }
        #expect(crash.hasHappened)
        await #expect(throws: BusError.self) { try await bus.append(BusMessage(subject: "s.3")) }
        #expect(throws: BusError.self) { try bus.publish(BusMessage(subject: "s.4")) }
        #expect(try await memory.streamState("S").messages == (moment == .before ? 2 : 3))
    }
}
