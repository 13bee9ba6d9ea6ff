/// Binary mode, by the NATS binding of CloudEvents: `ce-` headers whose values are percent-encoded.
extension CloudEvent {
    static let headerPrefix = "ce-"

    /// Reads an event from a message in either mode; nil if the message is no CloudEvent.
    ///
    /// Names of headers are read in any case. The first of several equal ones counts.
    /// - Throws: ``CloudEventError`` if it says that it is one and is not.
    public init?(
        headers: some Sequence<(name: String, value: String)>, payload: [UInt8]
    ) throws(CloudEventError) {
        var attributes: [String: String] = [:]
        var contentType: String?
        for (name, value) in headers {
            let name = name.lowercased()
            if name == "content-type" {
                contentType = contentType ?? value
            } else if name.hasPrefix(Self.headerPrefix), name.utf8.count > Self.headerPrefix.utf8.count {
                let attribute = String(name.dropFirst(Self.headerPrefix.count))
                guard attributes[attribute] == nil else { continue }
                guard let decoded = PercentEncoding.decode(value) else {
                    throw CloudEventError(attribute, "must be UTF-8, percent-encoded")
                }
                attributes[attribute] = decoded
            }
        }
        if let mediaType = contentType.map({ CloudEvent.name(ofMediaType: $0) }) {
            if mediaType == Self.structuredMediaType {
                try self.init(structured: payload)
                return
            }
            if mediaType.hasPrefix("application/cloudevents") {
                throw CloudEventError("data", "must be one event in JSON, not a batch or another format")
            }
        }
        guard !attributes.isEmpty else { return nil }
        attributes["datacontenttype"] = attributes["datacontenttype"] ?? contentType
        try self.init(attributes: attributes, data: payload)
    }

    /// The attributes as headers; the payload is then ``data``.
    public var binaryHeaders: [(name: String, value: String)] {
        attributes.map { (name: CloudEvent.headerName($0.name), value: PercentEncoding.encode($0.value)) }
    }

    /// Every message of a task has the first of them.
    private static func headerName(_ attribute: String) -> String {
        switch attribute {
        case "specversion": "ce-specversion"
        case "id": "ce-id"
        case "source": "ce-source"
        case "type": "ce-type"
        case "time": "ce-time"
        default: headerPrefix + attribute
        }
    }
}

/// How the binding writes values: everything that is not visible ASCII, and `"` and `%`, is `%XX`.
enum PercentEncoding {
    private static let hexadecimal = Array("0123456789ABCDEF".utf8)

    static func encode(_ text: String) -> String {
        if text.utf8.allSatisfy(isPlain) { return text }
        var encoded: [UInt8] = []
        for byte in text.utf8 {
            if isPlain(byte) {
                encoded.append(byte)
            } else {
                encoded += [UInt8(ascii: "%"), hexadecimal[Int(byte >> 4)], hexadecimal[Int(byte & 15)]]
            }
        }
        return String(decoding: encoded, as: UTF8.self)
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        byte > 0x20 && byte < 0x7F && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "%")
    }

    /// A `%` that no two digits follow stands for itself, as senders that do not encode write it.
    /// - Returns: nil if the decoded bytes are not UTF-8.
    static func decode(_ text: String) -> String? {
        let bytes = Array(text.utf8)
        var decoded: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "%"), index + 2 < bytes.count, let high = digit(bytes[index + 1]),
                let low = digit(bytes[index + 2])
            {
                decoded.append(high << 4 | low)
                index += 3
            } else {
                decoded.append(bytes[index])
                index += 1
            }
        }
        return String(validating: decoded, as: UTF8.self)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
