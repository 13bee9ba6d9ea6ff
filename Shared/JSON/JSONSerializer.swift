extension JSONValue {
    /// The value as compact JSON text in UTF-8. Members keep their order; a number that JSON cannot hold becomes `null`.
    public func serialized() -> [UInt8] {
        var writer = JSONWriter()
        writer.write(self)
        return writer.finish()
    }
}

extension JSONWriter {
    public mutating func write(_ value: JSONValue) {
        switch value {
        case .null: writeNull()
        case .bool(let value): write(value)
        case .integer(let value): write(value)
        case .double(let value): if value.isFinite { write(text: Array("\(value)".utf8)) } else { writeNull() }
        case .string(let value): write(value)
        case .array(let elements):
            beginArray()
            for element in elements { write(element) }
            endArray()
        case .object(let members):
            beginObject()
            for (key, member) in members {
                name(key)
                write(member)
            }
            endObject()
        }
    }
}
