/// Writes JSON text front to back into one run of bytes, with commas where they belong; values may be JSON text already.
///
/// ```
/// var writer = JSONWriter(reserving: 64)
/// writer.beginObject()
/// writer.member("id", 1)
/// writer.name("publish")
/// writer.beginObject()
/// writer.endObject()
/// writer.endObject()                  // {"id":1,"publish":{}}
/// ```
/// Whoever begins an object or an array ends it, and writes names in objects only.
public struct JSONWriter: ~Copyable {
    /// The text and, behind its end, room for more. Bare memory, since an array asks at every write whether it is shared.
    private var memory: UnsafeMutablePointer<UInt8>
    private var capacity: Int
    private var end = 0
    /// Whether what comes next stands behind an opening bracket or a name.
    private var isFirst = true

    /// - Parameter capacity: how many bytes are written without allocating again.
    public init(reserving capacity: Int = 128) {
        self.capacity = max(1, capacity)
        memory = .allocate(capacity: self.capacity)
    }

    deinit { memory.deallocate() }

    /// The text. What is written after that begins another.
    public mutating func finish() -> [UInt8] {
        defer {
            end = 0
            isFirst = true
        }
        return [UInt8](UnsafeBufferPointer(start: memory, count: end))
    }

    /// Makes room for `count` more bytes.
    public mutating func reserve(_ count: Int) {
        let missing = end + count - capacity
        if missing > 0 { grow(by: max(missing, capacity)) }
    }

    @inline(never) private mutating func grow(by count: Int) {
        let larger = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity + count)
        larger.update(from: memory, count: end)
        memory.deallocate()
        memory = larger
        capacity += count
    }

    @inline(__always) private mutating func put(_ count: Int, _ fill: (UnsafeMutablePointer<UInt8>) -> Void) {
        if end + count > capacity { reserve(count) }
        fill(memory + end)
        end += count
    }

    @inline(__always) private mutating func put(_ byte: UInt8) { put(1) { $0.pointee = byte } }

    private mutating func put(_ text: UnsafeBufferPointer<UInt8>) {
        guard let start = text.baseAddress else { return }
        put(text.count) { $0.update(from: start, count: text.count) }
    }

    private mutating func put(_ text: StaticString) {
        put(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    @inline(__always) private mutating func separate() {
        if isFirst { isFirst = false } else { put(UInt8(ascii: ",")) }
    }

    /// Begins another text, on a line of its own.
    public mutating func beginLine() {
        if end > 0 { put(UInt8(ascii: "\n")) }
        isFirst = true
    }

    // MARK: Objects and arrays

    public mutating func beginObject() { begin(UInt8(ascii: "{")) }
    public mutating func endObject() { end(UInt8(ascii: "}")) }
    public mutating func beginArray() { begin(UInt8(ascii: "[")) }
    public mutating func endArray() { end(UInt8(ascii: "]")) }

    private mutating func begin(_ bracket: UInt8) {
        separate()
        put(bracket)
        isFirst = true
    }

    private mutating func end(_ bracket: UInt8) {
        put(bracket)
        isFirst = false
    }

    /// The name of the value that is written next; of letters that need no escape.
    public mutating func name(_ name: StaticString) {
        separate()
        let (start, count) = (name.utf8Start, name.utf8CodeUnitCount)
        put(count + 3) { place in
            place[0] = UInt8(ascii: "\"")
            (place + 1).update(from: start, count: count)
            place[count + 1] = UInt8(ascii: "\"")
            place[count + 2] = UInt8(ascii: ":")
        }
        isFirst = true
    }

    /// The name of the value that is written next; any text.
    public mutating func name(_ name: String) {
        write(name)
        put(UInt8(ascii: ":"))
        isFirst = true
    }

    // MARK: Values

    public mutating func write(_ value: String) {
        separate()
        put(UInt8(ascii: "\""))
        var value = value
        value.withUTF8 { text in
            var start = 0
            while true {
                let special = StringBytes.firstSpecial(in: text, from: start, passesMultibyte: true)
                put(UnsafeBufferPointer(rebasing: text[start..<special]))
                guard special < text.count else { return }
                escape(text[special])
                start = special + 1
            }
        }
        put(UInt8(ascii: "\""))
    }

    private mutating func escape(_ byte: UInt8) {
        func digit(_ value: UInt8) -> UInt8 { value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10 }
        switch byte {
        case UInt8(ascii: "\n"): put(#"\n"#)
        case UInt8(ascii: "\r"): put(#"\r"#)
        case UInt8(ascii: "\t"): put(#"\t"#)
        case 0..<0x20:
            put(#"\u00"#)
            put(digit(byte >> 4))
            put(digit(byte & 15))
        default:
            put(UInt8(ascii: "\\"))
            put(byte)
        }
    }

    @inlinable public mutating func write(_ value: some FixedWidthInteger) {
        write(UInt64(value.magnitude), isNegative: value < 0)
    }

    @usableFromInline mutating func write(_ magnitude: UInt64, isNegative: Bool) {
        separate()
        if isNegative { put(UInt8(ascii: "-")) }
        var count = 1
        var rest = magnitude
        while rest >= 10 {
            rest /= 10
            count += 1
        }
        put(count) { place in
            var rest = magnitude
            for index in (0..<count).reversed() {
                place[index] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            }
        }
    }

    public mutating func write(_ value: Bool) {
        separate()
        put(value ? "true" : "false")
    }

    public mutating func writeNull() {
        separate()
        put("null")
    }

    /// Writes a value that is JSON text already.
    public mutating func write(text: [UInt8]) {
        separate()
        text.withUnsafeBufferPointer { put($0) }
    }

    // MARK: Members

    public mutating func member(_ name: StaticString, _ value: String) {
        self.name(name)
        write(value)
    }

    @inlinable public mutating func member(_ name: StaticString, _ value: some FixedWidthInteger) {
        self.name(name)
        write(value)
    }

    public mutating func member(_ name: StaticString, _ value: Bool) {
        self.name(name)
        write(value)
    }

    public mutating func member(_ name: StaticString, _ value: JSONValue) {
        self.name(name)
        write(value)
    }

    public mutating func member(_ name: StaticString, text: [UInt8]) {
        self.name(name)
        write(text: text)
    }
}
