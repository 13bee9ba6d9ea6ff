internal import JSON

/// JSON text that is passed on without being parsed.
package enum JSONText {
    /// `bytes` if they are one JSON value, with line breaks between its tokens turned into spaces: strings cannot hold a
    /// raw one, and protocols that put one message on a line, or a field on a line, need none to be there.
    package static func singleLine(_ bytes: [UInt8]) -> [UInt8]? {
        guard let hasLineBreaks = try? JSONScanner.validate(bytes) else { return nil }
        return hasLineBreaks ? bytes.withUnsafeBufferPointer(withoutLineBreaks) : bytes
    }

    /// The same for bytes that services read as values, so that they must be what ``JSONValue`` can hold.
    static func singleLine(value bytes: [UInt8]) -> [UInt8]? {
        try? JSONReader.read(bytes) { reader throws(JSONError) in
            let text = singleLine(checked: try reader.text())
            try reader.finish()
            return text
        }
    }

    /// A copy of a value that was checked, without line breaks.
    static func singleLine(checked slice: JSONReader.Slice) -> [UInt8] { withoutLineBreaks(slice.bytes) }

    private static func isLineBreak(_ byte: UInt8) -> Bool { byte == 0x0A || byte == 0x0D }

    private static func withoutLineBreaks(_ bytes: UnsafeBufferPointer<UInt8>) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: bytes.count) { output, count in
            for index in bytes.indices { output[index] = isLineBreak(bytes[index]) ? 0x20 : bytes[index] }
            count = bytes.count
        }
    }
}

extension JSONWriter {
    /// What every protocol of ours says when messages were left out.
    mutating func writeDropped(channel: String, count: Int) {
        beginObject()
        member("type", "dropped")
        member("channel", channel)
        member("count", count)
        endObject()
    }
}
