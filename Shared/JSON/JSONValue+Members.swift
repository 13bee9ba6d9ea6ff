extension JSONValue {
    /// As ``init(parsing:maximumDepth:)-(Collection<UInt8>,_)``, faster for an object of few and plain members.
    public init(parsingMembersOf bytes: [UInt8]) throws(JSONError) {
        let object = try JSONReader.read(bytes) { reader throws(JSONError) -> JSONObject? in
            guard try reader.beginObject() else { return nil }
            var object = JSONObject()
            while let name = try reader.nextName() { object[name.string] = try reader.value() }
            try reader.finish()
            return object
        }
        if let object { self = .object(object) } else { try self.init(parsing: bytes) }
    }
}
