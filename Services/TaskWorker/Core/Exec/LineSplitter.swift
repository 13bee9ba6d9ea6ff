/// Cuts a stream of bytes into lines of bounded length.
package struct LineSplitter: Sendable {
    package enum Line: Sendable, Hashable {
        case text([UInt8])
        /// A line of more bytes than allowed, which were not kept.
        case tooLong
    }

    private let maximumLength: Int
    private var current: [UInt8] = []
    private var isTooLong = false

    package init(maximumLength: Int) { self.maximumLength = maximumLength }

    /// The lines that end in this piece, without their line ends.
    package mutating func feed(_ bytes: some Sequence<UInt8>) -> [Line] {
        var lines: [Line] = []
        for byte in bytes {
            if byte == UInt8(ascii: "\n") {
                lines.append(take())
            } else if current.count < maximumLength {
                current.append(byte)
            } else {
                isTooLong = true
            }
        }
        return lines
    }

    /// The last line, if it has no line end.
    package mutating func finish() -> Line? { current.isEmpty && !isTooLong ? nil : take() }

    private mutating func take() -> Line {
        defer {
            current = []
            isTooLong = false
        }
        if isTooLong { return .tooLong }
        if current.last == UInt8(ascii: "\r") { current.removeLast() }
        return .text(current)
    }
}
