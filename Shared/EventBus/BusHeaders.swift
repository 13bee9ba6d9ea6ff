internal import Glibc

/// The headers of a message, in order. Names are compared without regard to case, as HTTP and CloudEvents do; the case
/// in which they were written is kept.
public struct BusHeaders: Sendable, ExpressibleByDictionaryLiteral, Sequence {
    private enum Storage {
        case fields([(name: String, value: String)])
        /// As they came, to be searched for what is asked: of most messages that is little or nothing.
        case lines(HeaderLines)
    }

    private var storage: Storage

    public init() { storage = .fields([]) }

    public init(dictionaryLiteral elements: (String, String)...) {
        storage = .fields(elements.map { ($0.0, $0.1) })
    }

    public init(fields: [(name: String, value: String)]) { storage = .fields(fields) }

    /// Headers that came as text: lines of `name: value`, each ended by CR LF. They are looked at when somebody asks for
    /// one; what is no such line is none.
    public init(lines: [UInt8]) {
        storage = lines.isEmpty ? .fields([]) : .lines(HeaderLines(bytes: lines))
    }

    public var isEmpty: Bool {
        switch storage {
        case .fields(let fields): fields.isEmpty
        case .lines(let lines): lines.next(after: 0) == nil
        }
    }

    /// The first value of `name`. Setting replaces every value of it; nil removes it.
    public subscript(name: String) -> String? {
        get {
            switch storage {
            case .fields(let fields): fields.first { $0.name.equalsIgnoringCase(name) }?.value
            case .lines(let lines): lines.value(of: name)
            }
        }
        set {
            var fields = fields
            // Not shared any more, so that it is changed in place.
            storage = .fields([])
            if let newValue, let index = fields.firstIndex(where: { $0.name.equalsIgnoringCase(name) }) {
                fields[index].value = newValue
            } else {
                fields.removeAll { $0.name.equalsIgnoringCase(name) }
                if let newValue { fields.append((name, newValue)) }
            }
            storage = .fields(fields)
        }
    }

    /// Adds a value without replacing those that `name` has.
    public mutating func append(_ name: String, _ value: String) {
        var fields = fields
        storage = .fields([])
        if fields.isEmpty { fields.reserveCapacity(8) }
        fields.append((name, value))
        storage = .fields(fields)
    }

    public func makeIterator() -> IndexingIterator<[(name: String, value: String)]> { fields.makeIterator() }

    /// All of them, in order.
    public var fields: [(name: String, value: String)] {
        switch storage {
        case .fields(let fields): fields
        case .lines(let lines): lines.fields
        }
    }
}

extension BusHeaders: Equatable {
    public static func == (left: BusHeaders, right: BusHeaders) -> Bool {
        left.fields.elementsEqual(right.fields) { $0.name == $1.name && $0.value == $1.value }
    }
}

/// Headers as text.
private struct HeaderLines: Sendable {
    let bytes: [UInt8]

    struct Line {
        var name: Range<Int>
        var value: Range<Int>
        /// Where the next line begins.
        var end: Int
    }

    /// The first line at or behind `start` that is one.
    func next(after start: Int) -> Line? {
        var start = start
        while start < bytes.count {
            let end = bytes.withUnsafeBytes { $0.newline(from: start) }
            defer { start = end + 1 }
            guard let colon = bytes[start..<end].firstIndex(of: UInt8(ascii: ":")), colon > start else { continue }
            var value = (colon + 1)..<end
            while let first = value.first, bytes[first] == UInt8(ascii: " ") { value.removeFirst() }
            if let last = value.last, bytes[last] == UInt8(ascii: "\r") { value.removeLast() }
            return Line(name: start..<colon, value: value, end: end + 1)
        }
        return nil
    }

    /// Looks only at lines in which a colon stands behind so many bytes as `name` has.
    func value(of name: String) -> String? {
        let length = name.utf8.count
        return bytes.withUnsafeBytes { bytes in
            var start = 0
            while start + length < bytes.count {
                let end = bytes.newline(from: start)
                if start + length < end, bytes[start + length] == UInt8(ascii: ":"),
                    name.utf8.equalsIgnoringCase(bytes[start..<(start + length)]),
                    let line = next(after: start), line.name == start..<(start + length)
                {
                    return text(line.value)
                }
                start = end + 1
            }
            return nil
        }
    }

    var fields: [(name: String, value: String)] {
        var fields: [(name: String, value: String)] = []
        var start = 0
        while let line = next(after: start) {
            fields.append((text(line.name), text(line.value)))
            start = line.end
        }
        return fields
    }

    private func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }
}

extension UnsafeRawBufferPointer {
    /// Where the line that begins at `start` ends.
    fileprivate func newline(from start: Int) -> Int {
        guard let base = baseAddress, start < count, let found = memchr(base + start, 0x0A, count - start)
        else { return count }
        return UnsafeRawPointer(found) - base
    }
}

extension Range<Int> {
    fileprivate mutating func removeFirst() { self = (lowerBound + 1)..<upperBound }
    fileprivate mutating func removeLast() { self = lowerBound..<(upperBound - 1) }
}

extension String {
    fileprivate func equalsIgnoringCase(_ other: String) -> Bool { utf8.equalsIgnoringCase(other.utf8) }
}

extension Collection<UInt8> {
    fileprivate func equalsIgnoringCase(_ other: some Collection<UInt8>) -> Bool {
        count == other.count
            && zip(self, other).allSatisfy {
                $0 == $1 || ($0 | 0x20 == $1 | 0x20 && (97...122).contains($0 | 0x20))
            }
    }
}
