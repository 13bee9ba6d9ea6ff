internal import JSON

/// Structured mode: the JSON format of CloudEvents.
extension CloudEvent {
    /// The `Content-Type` of structured mode.
    public static let structuredMediaType = "application/cloudevents+json"

    /// Whether a message with this `Content-Type` is an event in structured mode.
    public static func isStructured(contentType: String?) -> Bool {
        contentType.map { name(ofMediaType: $0) } == structuredMediaType
    }

    /// Reads the JSON object that holds attributes and data.
    public init(structured payload: [UInt8]) throws(CloudEventError) {
        let root: JSONValue
        do throws(JSONError) {
            root = try JSONValue(parsing: payload)
        } catch {
            throw CloudEventError("data", "must be JSON: \(error)")
        }
        guard case .object(let members) = root else {
            throw CloudEventError("data", "must be a JSON object with the attributes, not \(root.kindDescription)")
        }
        var attributes: [String: String] = [:]
        for (name, value) in members where name != "data" && name != "data_base64" {
            switch value {
            case .null: continue
            case .string(let text): attributes[name] = text
            case .integer(let number): attributes[name] = String(number)
            case .bool(let flag): attributes[name] = String(flag)
            default: throw CloudEventError(name, "must be a string, not \(value.kindDescription)")
            }
        }
        let data = try CloudEvent.data(of: members, mediaType: attributes["datacontenttype"])
        try self.init(attributes: attributes, data: data)
    }

    private static func data(of members: JSONObject, mediaType: String?) throws(CloudEventError) -> [UInt8] {
        if let encoded = members["data_base64"], !encoded.isNull {
            guard members["data"] == nil else { throw CloudEventError("data_base64", "must not stand beside data") }
            guard let text = encoded.stringValue, let bytes = Base64.decode(text) else {
                throw CloudEventError("data_base64", "must be base64")
            }
            return bytes
        }
        guard let data = members["data"] else { return [] }
        // Text of another media type is written as a JSON string; JSON stands for itself.
        if let mediaType, !isJSON(mediaType), case .string(let text) = data { return Array(text.utf8) }
        return data.serialized()
    }

    /// The event as a payload of structured mode.
    public var structuredPayload: [UInt8] {
        var members = JSONObject(attributes.map { ($0.name, JSONValue.string($0.value)) })
        if !data.isEmpty {
            if hasJSONData, let json = try? JSONValue(parsing: data) {
                members["data"] = json
            } else {
                members["data_base64"] = .string(Base64.encode(data))
            }
        }
        return JSONValue.object(members).serialized()
    }
}

/// Base64 with padding (RFC 4648, section 4).
enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        var buffer: UInt32 = 0
        var bits = 0
        for byte in bytes {
            buffer = buffer << 8 | UInt32(byte)
            bits += 8
            while bits >= 6 {
                bits -= 6
                text.append(alphabet[Int(buffer >> UInt32(bits) & 63)])
            }
        }
        if bits > 0 { text.append(alphabet[Int(buffer << UInt32(6 - bits) & 63)]) }
        while text.count % 4 != 0 { text.append(UInt8(ascii: "=")) }
        return String(decoding: text, as: UTF8.self)
    }

    /// - Returns: nil for other characters and for an impossible length. Padding may be left out.
    static func decode(_ text: String) -> [UInt8]? {
        var characters = Array(text.utf8)
        if characters.count % 4 == 0 {
            for _ in 0..<2 where characters.last == UInt8(ascii: "=") { characters.removeLast() }
        }
        guard characters.count % 4 != 1 else { return nil }
        var bytes: [UInt8] = []
        var buffer: UInt32 = 0
        var bits = 0
        for character in characters {
            guard let value = alphabet.firstIndex(of: character) else { return nil }
            buffer = buffer << 6 | UInt32(value)
            bits += 6
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: buffer >> UInt32(bits)))
            }
        }
        return bytes
    }
}
