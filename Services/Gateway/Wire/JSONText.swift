internal import JSON

/// JSON text that is passed on without being parsed.
package enum JSONText {
    /// `bytes` if they are one JSON value, with line breaks between its tokens turned into spaces: strings cannot hold a
    /// raw one, and protocols that put one message on a line, or a field on a line, need none to be there.
    package static func singleLine(_ bytes: [UInt8]) -> [UInt8]? {
        guard JSONScanner.isValid(bytes) else { return nil }
        guard bytes.contains(where: { $0 == 0x0A || $0 == 0x0D }) else { return bytes }
        return bytes.map { $0 == 0x0A || $0 == 0x0D ? 0x20 : $0 }
    }
}

/// Builds one JSON object into bytes, with members that may be JSON text already.
struct JSONObjectWriter {
    private(set) var bytes: [UInt8]
    private var isFirst = true

    init(reserving capacity: Int = 128) {
        bytes = []
        bytes.reserveCapacity(capacity)
        bytes.append(UInt8(ascii: "{"))
    }

    private mutating func key(_ key: StaticString) {
        if !isFirst { bytes.append(UInt8(ascii: ",")) }
        isFirst = false
        bytes.append(UInt8(ascii: "\""))
        key.withUTF8Buffer { bytes.append(contentsOf: $0) }
        bytes.append(UInt8(ascii: "\""))
        bytes.append(UInt8(ascii: ":"))
    }

    mutating func add(_ name: StaticString, _ value: String) {
        key(name)
        JSONValue.write(string: value, to: &bytes)
    }

    mutating func add(_ name: StaticString, _ value: UInt64) {
        key(name)
        bytes.append(contentsOf: String(value).utf8)
    }

    mutating func add(_ name: StaticString, _ value: Bool) {
        key(name)
        bytes.append(contentsOf: (value ? "true" : "false").utf8)
    }

    mutating func add(_ name: StaticString, _ value: JSONValue) {
        key(name)
        value.write(to: &bytes)
    }

    /// Adds a member that is JSON text already.
    mutating func add(_ name: StaticString, text: [UInt8]) {
        key(name)
        bytes.append(contentsOf: text)
    }

    mutating func add(_ name: StaticString, texts: [[UInt8]]) {
        key(name)
        bytes.append(UInt8(ascii: "["))
        for (index, text) in texts.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            bytes.append(contentsOf: text)
        }
        bytes.append(UInt8(ascii: "]"))
    }

    consuming func finish() -> [UInt8] {
        bytes.append(UInt8(ascii: "}"))
        return bytes
    }
}
