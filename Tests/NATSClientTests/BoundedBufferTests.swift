import Testing

@testable import NATSClient

@Suite("The bounded buffer between a callback and its reader", .timeLimit(.minutes(1)))
struct BoundedBufferTests {
    @Test("what is beyond the limit is dropped and counted; with resume, later elements are kept again")
    func resume() async {
        let buffer = BoundedBuffer<Int>(limit: 3, policy: .resume)
        #expect((0..<5).map { buffer.push($0) } == [true, true, true, false, false])
        #expect(await buffer.next() == .dropped(2))
        #expect(await buffer.next() == .element(0))
        #expect(buffer.push(5))
        buffer.finish()
        #expect(buffer.push(6))
        for expected in [1, 2, 5] { #expect(await buffer.next() == .element(expected)) }
        #expect(await buffer.next() == nil)
    }

    @Test("with stop, nothing that comes after a drop is kept before the reader has been told")
    func stop() async {
        let buffer = BoundedBuffer<Int>(limit: 2, policy: .stop)
        for number in 0..<3 { buffer.push(number) }
        #expect(await buffer.next() == .element(0))
        #expect(!buffer.push(3))
        #expect(await buffer.next() == .element(1))
        #expect(await buffer.next() == .dropped(2))
        #expect(buffer.push(4))
        #expect(await buffer.next() == .element(4))
    }

    @Test("a writer that waits for room loses nothing, and a reader gets all in order")
    func room() async {
        let buffer = BoundedBuffer<Int>(limit: 2, policy: .stop)
        let writer = Task {
            for number in 0..<5000 {
                await buffer.room()
                buffer.push(number)
            }
            buffer.finish()
        }
        var expected = 0
        while let item = await buffer.next() {
            #expect(item == .element(expected))
            expected += 1
        }
        #expect(expected == 5000)
        await writer.value
    }

    @Test("cancelling ends the wait of a reader and of a writer")
    func cancellation() async {
        let buffer = BoundedBuffer<Int>(limit: 1, policy: .resume)
        let reader = Task { await buffer.next() }
        reader.cancel()
        #expect(await reader.value == nil)
        buffer.push(1)
        let writer = Task { await buffer.room() }
        writer.cancel()
        await writer.value
        #expect(await buffer.next() == .element(1))
    }
}

extension BoundedBuffer.Item: Equatable where Element: Equatable {
    static func == (left: Self, right: Self) -> Bool {
        switch (left, right) {
        case (.element(let left), .element(let right)): left == right
        case (.dropped(let left), .dropped(let right)): left == right
        default: false
        }
    }
}
