/// The beginning of something that has not come whole. Grows with what has come, never with what was announced.
struct CarriedBytes: ~Copyable {
    private var memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    private(set) var count = 0

    /// What is kept for the next time.
    private static let keptCapacity = 16 * 1024

    deinit { memory.deallocate() }

    /// Valid until the next change.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(memory)[..<count]) }

    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard !bytes.isEmpty else { return }
        if memory.count - count < bytes.count { grow(to: count + bytes.count) }
        UnsafeMutableRawBufferPointer(rebasing: memory[count...]).copyMemory(from: bytes)
        count += bytes.count
    }

    mutating func removeAll() {
        count = 0
        guard memory.count > CarriedBytes.keptCapacity else { return }
        memory.deallocate()
        memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    }

    private mutating func grow(to needed: Int) {
        let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: max(512, needed, memory.count * 2), alignment: 8)
        if count > 0 { larger.copyMemory(from: bytes) }
        memory.deallocate()
        memory = larger
    }
}
