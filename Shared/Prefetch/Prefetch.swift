public import CPrefetch

/// Has the processor fetch memory that is needed in a moment, while it does something else.
///
/// What belongs to one of very many channels or connections is in no cache when its turn comes, and each step from object to
/// object is a wait of a hundred nanoseconds, one after the other, for the next address is in the memory that is waited
/// for. Whoever knows several of them ahead asks for the first object of each, a little later for the second, and so on:
/// then they all come at the same time. It is a hint: it changes nothing, fails on no address, and is lost where it comes too
/// late.
public enum Prefetch {
    /// What comes from memory at once.
    @usableFromInline static let lineBytes = 64

    /// Fetches the first `lines` of an object; its properties lie in it in the order in which they are declared.
    @inlinable @inline(__always)
    public static func object(_ object: AnyObject, lines: Int = 1) {
        memory(Unmanaged.passUnretained(object).toOpaque(), lines: lines)
    }

    @inlinable @inline(__always)
    public static func memory(_ address: UnsafeRawPointer, lines: Int = 1) {
        for line in 0..<lines { apus_prefetch(address + line * lineBytes) }
    }
}
