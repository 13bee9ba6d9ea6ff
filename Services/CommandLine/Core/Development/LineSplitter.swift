/// Cuts the bytes that a program prints into lines, wherever they are divided between reads.
public struct LineSplitter: Sendable {
    /// A longer line is cut: a program that prints no line break must not fill the memory.
    public static let maximumLineBytes = 16 * 1024

    private var pending: [UInt8] = []

    public init() {}

    /// The lines that `bytes` complete, without their ends, in valid UTF-8.
    public mutating func append(_ bytes: some Collection<UInt8>) -> [String] {
        var lines: [String] = []
        for byte in bytes {
            if byte == 10 {
                lines.append(takeLine())
            } else {
                pending.append(byte)
                if pending.count >= LineSplitter.maximumLineBytes { lines.append(takeLine()) }
            }
        }
        return lines
    }

    /// What stands after the last line break, at the end of the output.
    public mutating func finish() -> String? { pending.isEmpty ? nil : takeLine() }

    private mutating func takeLine() -> String {
        if pending.last == 13 { pending.removeLast() }
        defer { pending.removeAll(keepingCapacity: true) }
        return String(decoding: pending, as: UTF8.self)
    }
}
