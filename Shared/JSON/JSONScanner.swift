/// Checks that bytes are one JSON text (RFC 8259) without building any value.
///
/// This is what a payload that is only passed on goes through: every byte is looked at once, nothing is allocated.
public enum JSONScanner {
    /// Checks `bytes`. Numbers of any size are taken.
    /// - Throws: ``JSONError`` with the place of the first byte that does not fit, or where nesting exceeds `maximumDepth`.
    public static func validate(
        _ bytes: [UInt8], maximumDepth: Int = JSONValue.defaultMaximumDepth
    ) throws(JSONError) {
        try JSONReader.read(bytes, rules: .text, maximumDepth: maximumDepth) { reader throws(JSONError) in
            try reader.skip()
            try reader.finish()
        }
    }

    /// Whether `bytes` are one JSON text nested no deeper than `maximumDepth`.
    public static func isValid(_ bytes: [UInt8], maximumDepth: Int = JSONValue.defaultMaximumDepth) -> Bool {
        (try? validate(bytes, maximumDepth: maximumDepth)) != nil
    }
}
