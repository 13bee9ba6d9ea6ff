internal import CJansson

/// Why bytes are not JSON, or not JSON that is accepted here.
public struct JSONError: Error, Equatable, CustomStringConvertible {
    /// What is wrong, in words; never quotes the input.
    public let message: String
    /// Where, in bytes from the start.
    public let offset: Int

    public init(message: String, offset: Int) {
        self.message = message
        self.offset = offset
    }

    public var description: String { "\(message) (at byte \(offset))" }
}

extension JSONValue {
    /// How deep arrays and objects may be nested unless a caller says otherwise.
    public static let defaultMaximumDepth = 128

    /// Parses one JSON text (RFC 8259, any value at the top, UTF-8 without a byte order mark).
    ///
    /// The last of several equal keys wins. Numbers without fraction or exponent must fit into 64 bits.
    /// - Throws: ``JSONError`` for anything else, including nesting deeper than `maximumDepth`.
    public init(
        parsing bytes: some Collection<UInt8>, maximumDepth: Int = JSONValue.defaultMaximumDepth
    ) throws(JSONError) {
        let contiguous = Array(bytes)
        // The scan bounds the depth before jansson and the copy below recurse over the text.
        try JSONScanner.validate(contiguous, maximumDepth: maximumDepth)
        self = try contiguous.withUnsafeBufferPointer { buffer throws(JSONError) in try JSONValue(loading: buffer) }
    }

    /// Parses the UTF-8 of `text`. See ``init(parsing:maximumDepth:)-(Collection<UInt8>,_)``.
    public init(parsing text: String, maximumDepth: Int = JSONValue.defaultMaximumDepth) throws(JSONError) {
        try self.init(parsing: Array(text.utf8), maximumDepth: maximumDepth)
    }

    /// - Parameter bytes: one JSON text that was checked, with its depth.
    init(loading bytes: UnsafeBufferPointer<UInt8>) throws(JSONError) {
        var failure = json_error_t()
        let raw = UnsafeRawBufferPointer(bytes)
        let root = json_loadb(
            raw.baseAddress?.assumingMemoryBound(to: CChar.self), raw.count,
            Int(JSON_DECODE_ANY) | Int(JSON_ALLOW_NUL), &failure)
        guard let root else {
            // Nothing of the input may reach a log, so jansson's own text, which quotes it, stays here.
            throw JSONError(message: "a number or string that cannot be represented", offset: Int(failure.position))
        }
        defer { apus_json_decref(root) }
        self = JSONValue(copying: root)
    }

    /// Copies a borrowed jansson value into a Swift one.
    private init(copying json: UnsafeMutablePointer<json_t>) {
        switch json.pointee.type {
        case JSON_TRUE: self = .bool(true)
        case JSON_FALSE: self = .bool(false)
        case JSON_INTEGER: self = .integer(json_integer_value(json))
        case JSON_REAL: self = .double(json_real_value(json))
        case JSON_STRING:
            let bytes = UnsafeRawBufferPointer(start: json_string_value(json), count: json_string_length(json))
            self = .string(String(decoding: bytes, as: UTF8.self))
        case JSON_ARRAY:
            let count = json_array_size(json)
            var elements: [JSONValue] = []
            elements.reserveCapacity(count)
            for index in 0..<count { elements.append(JSONValue(copying: json_array_get(json, index))) }
            self = .array(elements)
        case JSON_OBJECT:
            var members = JSONObject(minimumCapacity: json_object_size(json))
            var iterator = json_object_iter(json)
            while let current = iterator {
                members[String(cString: json_object_iter_key(current))] = JSONValue(
                    copying: json_object_iter_value(current))
                iterator = json_object_iter_next(json, current)
            }
            self = .object(members)
        default: self = .null
        }
    }
}
