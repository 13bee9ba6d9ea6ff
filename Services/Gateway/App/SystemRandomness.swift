internal import Foundation
internal import Synchronization

/// The system's randomness, fetched many words at a time: a call of the system for each of a connection's ids would cost
/// more than all else that is done when it opens.
///
/// No word is given out twice, and none is kept once it is.
final class SystemRandomness: Sendable {
    private let words = Mutex<[UInt64]>([])

    /// As many bytes as the system gives in one call.
    private static let bytes = 256

    func next() -> UInt64 {
        words.withLock { words in
            if let word = words.popLast() { return word }
            words = SystemRandomness.fetch()
            return words.popLast() ?? UInt64.random(in: .min ... .max)
        }
    }

    private static func fetch() -> [UInt64] {
        let count = bytes / MemoryLayout<UInt64>.size
        return [UInt64](unsafeUninitializedCapacity: count) { buffer, initialized in
            // It fails only where the system has no such call; then each word is asked for by itself.
            initialized = getentropy(buffer.baseAddress, bytes) == 0 ? count : 0
        }
    }
}
