/// Reads JSON text front to back and builds only what it is asked for: a pull parser.
///
/// ```
/// try JSONReader.read(bytes) { reader throws(JSONError) in
///     guard try reader.beginObject() else { … }
///     while let name = try reader.nextName() {
///         switch name {
///         case "channel": channel = try reader.string()
///         default: try reader.skip()
///         }
///     }
///     try reader.finish()
/// }
/// ```
/// What is skipped is checked as strictly as what is taken: bytes that were read to the end are bytes that
/// ``JSONValue/init(parsing:maximumDepth:)-(Collection<UInt8>,_)`` takes. Each of the functions that take a value takes
/// exactly one; if it is of another kind, it is gone over and the answer is nil. Of several equal names a caller that
/// assigns sees the last.
public struct JSONReader: ~Copyable {
    /// A piece of the text: a string without its quotation marks, or a whole value. Valid only while its reader is.
    public struct Slice {
        public let bytes: UnsafeBufferPointer<UInt8>
        /// Whether there are escapes in it; only a string can have some.
        @usableFromInline let isEscaped: Bool
    }

    /// What is taken.
    enum Rules {
        /// Everything that is JSON.
        case text
        /// What a ``JSONValue`` can hold: no numbers beyond its range, no NUL in a name.
        case values
        /// The same, and a line break outside of the values ends a text: JSON Lines.
        case lines
    }

    let bytes: UnsafeBufferPointer<UInt8>
    let rules: Rules
    var position = 0
    var remainingDepth: Int
    /// Whether a line has ended between tokens.
    var hasLineBreaks = false
    /// Whether nothing of the array or object that was begun last has been read.
    private var isAtBeginning = false

    private init(_ bytes: UnsafeBufferPointer<UInt8>, rules: Rules, maximumDepth: Int) {
        self.bytes = bytes
        self.rules = rules
        remainingDepth = maximumDepth
    }

    // MARK: Beginning and end

    /// Reads one JSON text. `body` ends with ``finish()``, or has not checked what it did not read.
    public static func read<Result, Failure: Error>(
        _ bytes: [UInt8], maximumDepth: Int = JSONValue.defaultMaximumDepth,
        _ body: (inout JSONReader) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try read(bytes, rules: .values, maximumDepth: maximumDepth, body)
    }

    /// Reads any number of JSON texts, a line each. `body` asks for each with ``nextLine()`` and ends it with ``finish()``.
    public static func readLines<Result, Failure: Error>(
        _ bytes: [UInt8], maximumDepth: Int = JSONValue.defaultMaximumDepth,
        _ body: (inout JSONReader) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try read(bytes, rules: .lines, maximumDepth: maximumDepth, body)
    }

    static func read<Result, Failure: Error>(
        _ bytes: [UInt8], rules: Rules, maximumDepth: Int, _ body: (inout JSONReader) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try bytes.withUnsafeBufferPointer { buffer throws(Failure) in
            var reader = JSONReader(buffer, rules: rules, maximumDepth: maximumDepth)
            return try body(&reader)
        }
    }

    /// Whether there is another line that is not blank.
    public mutating func nextLine() -> Bool {
        while true {
            skipSpace()
            guard current == UInt8(ascii: "\n") else { return position < bytes.count }
            position += 1
        }
    }

    /// Checks that nothing follows, on this line if texts are read by lines.
    public mutating func finish() throws(JSONError) {
        skipSpace()
        guard position == bytes.count || (rules == .lines && current == UInt8(ascii: "\n")) else {
            throw failure("text after the value")
        }
    }

    // MARK: Objects and arrays

    /// Enters an object; its members follow by ``nextName()``. False for another value, which is gone over.
    public mutating func beginObject() throws(JSONError) -> Bool { try begin(UInt8(ascii: "{")) }

    /// Enters an array; its elements follow by ``nextElement()``. False for another value, which is gone over.
    public mutating func beginArray() throws(JSONError) -> Bool { try begin(UInt8(ascii: "[")) }

    private mutating func begin(_ bracket: UInt8) throws(JSONError) -> Bool {
        skipSpace()
        guard current == bracket else {
            try skipValue()
            return false
        }
        try descend()
        isAtBeginning = true
        return true
    }

    /// The name of the next member, whose value is to be taken then. After the last member nil, and the object is left.
    public mutating func nextName() throws(JSONError) -> Slice? {
        guard try advance(to: UInt8(ascii: "}")) else { return nil }
        let start = position + 1
        let (end, isEscaped) = try skipName()
        return slice(from: start, to: end, isEscaped: isEscaped)
    }

    /// Whether there is another element, which is to be taken then. After the last one false, and the array is left.
    public mutating func nextElement() throws(JSONError) -> Bool { try advance(to: UInt8(ascii: "]")) }

    private mutating func advance(to bracket: UInt8) throws(JSONError) -> Bool {
        let isFirst = isAtBeginning
        isAtBeginning = false
        return try hasNext(before: bracket, isFirst: isFirst)
    }

    // MARK: Values

    /// Whether the next value is null; it stays the next.
    public mutating func isAtNull() -> Bool {
        skipSpace()
        return current == UInt8(ascii: "n")
    }

    /// Goes over the next value.
    public mutating func skip() throws(JSONError) {
        skipSpace()
        try skipValue()
    }

    /// The text of the next value, as it stands there.
    public mutating func text() throws(JSONError) -> Slice {
        skipSpace()
        let start = position
        try skipValue()
        return slice(from: start, to: position)
    }

    public mutating func string() throws(JSONError) -> Slice? {
        skipSpace()
        if current == UInt8(ascii: "\"") { return try takeString() }
        try skipValue()
        return nil
    }

    private mutating func takeString() throws(JSONError) -> Slice {
        let start = position + 1
        let isEscaped = try skipString()
        return slice(from: start, to: position - 1, isEscaped: isEscaped)
    }

    public mutating func bool() throws(JSONError) -> Bool? {
        skipSpace()
        let first = current
        try skipValue()
        return first == UInt8(ascii: "t") ? true : first == UInt8(ascii: "f") ? false : nil
    }

    /// The number as an integer, if it is one: `5`, `5.0` and `5e0`, not `5.5` or `"5"`.
    public mutating func integer() throws(JSONError) -> Int64? {
        skipSpace()
        guard isAtNumber else {
            try skipValue()
            return nil
        }
        let start = position
        if let integer = try takeNumber() { return integer }
        return slice(from: start, to: position).double.flatMap { Int64(exactly: $0) }
    }

    public mutating func value() throws(JSONError) -> JSONValue {
        skipSpace()
        switch current {
        case UInt8(ascii: "\""): return .string(try takeString().string)
        case UInt8(ascii: "t"), UInt8(ascii: "f"): return .bool(try bool() == true)
        case UInt8(ascii: "{"), UInt8(ascii: "["): return try JSONValue(loading: try text().bytes)
        case _ where isAtNumber:
            let start = position
            if let integer = try takeNumber() { return .integer(integer) }
            return slice(from: start, to: position).double.map { .double($0) } ?? .null
        default:
            try skipValue()
            return .null
        }
    }
}

extension JSONReader.Slice {
    /// Whether it is `name`.
    @inlinable public static func ~= (name: StaticString, slice: JSONReader.Slice) -> Bool {
        // Nobody who writes to us escapes letters, but somebody may.
        if slice.isEscaped { return slice.string == "\(name)" }
        guard slice.bytes.count == name.utf8CodeUnitCount else { return false }
        for index in 0..<slice.bytes.count where slice.bytes[index] != name.utf8Start[index] { return false }
        return true
    }

    public var isEmpty: Bool { bytes.isEmpty }

    /// The string, with its escapes resolved.
    public var string: String {
        isEscaped ? String(decoding: unescaped(), as: UTF8.self) : String(decoding: bytes, as: UTF8.self)
    }

    /// Only of a string that was checked.
    func unescaped() -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count)
        var index = 0
        func unit(at index: Int) -> UInt32 {
            bytes[index..<index + 4].reduce(0) { $0 << 4 | UInt32(JSONReader.hexadecimalDigit($1) ?? 0) }
        }
        while index < bytes.count {
            guard bytes[index] == UInt8(ascii: "\\") else {
                output.append(bytes[index])
                index += 1
                continue
            }
            let escape = bytes[index + 1]
            index += 2
            switch escape {
            case UInt8(ascii: "b"): output.append(0x08)
            case UInt8(ascii: "f"): output.append(0x0C)
            case UInt8(ascii: "n"): output.append(0x0A)
            case UInt8(ascii: "r"): output.append(0x0D)
            case UInt8(ascii: "t"): output.append(0x09)
            case UInt8(ascii: "u"):
                var scalar = unit(at: index)
                index += 4
                if 0xD800...0xDBFF ~= scalar {
                    scalar = 0x10000 + (scalar & 0x3FF) << 10 + unit(at: index + 2) & 0x3FF
                    index += 6
                }
                output.append(contentsOf: UTF8.encode(Unicode.Scalar(scalar) ?? "\u{FFFD}")!)
            default: output.append(escape)
            }
        }
        return output
    }

    var double: Double? { Double(String(decoding: bytes, as: UTF8.self)) }
}
