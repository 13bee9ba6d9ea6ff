/// Where a request stands in a distributed trace (W3C Trace Context), as the client's own tracer wrote it.
///
/// Only carried along: the gateway adds no spans of its own.
package struct TraceContext: Sendable, Equatable {
    package let parent: String
    package let state: String?

    /// The longest `tracestate` that is passed on; the standard asks for at least this much.
    package static let maximumStateLength = 512

    /// Nil when `parent` is not a `traceparent`: the standard asks to ignore both then. A `state` that cannot be a
    /// header's value is left out.
    package init?(parent: String?, state: String? = nil) {
        guard let parent, TraceContext.isParent(parent) else { return nil }
        self.parent = parent
        self.state = state.flatMap { TraceContext.isState($0) ? $0 : nil }
    }

    /// `00-<32 hexadecimal digits>-<16>-<2>`; versions other than 00 may have more behind it.
    private static func isParent(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        guard (55...256).contains(bytes.count), bytes[2] == dash, bytes[35] == dash, bytes[52] == dash else {
            return false
        }
        let version = bytes[0..<2]
        guard version != [0x66, 0x66], isHexadecimal(version), isHexadecimal(bytes[3..<35]),
            isHexadecimal(bytes[36..<52]), isHexadecimal(bytes[53..<55])
        else { return false }
        if version == [0x30, 0x30] {
            guard bytes.count == 55 else { return false }
        } else {
            guard bytes.count == 55 || bytes[55] == dash, bytes.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
                return false
            }
        }
        // A trace or a parent of zeros only is none.
        return bytes[3..<35].contains { $0 != 0x30 } && bytes[36..<52].contains { $0 != 0x30 }
    }

    private static let dash = UInt8(ascii: "-")

    private static func isHexadecimal(_ bytes: ArraySlice<UInt8>) -> Bool {
        bytes.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    }

    private static func isState(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= maximumStateLength
            && text.utf8.allSatisfy { (0x20...0x7E).contains($0) || $0 == 0x09 }
    }
}
