/// Checks that bytes are one JSON text (RFC 8259) without building any value.
///
/// This is what a payload that is only passed on goes through: every byte is looked at once, nothing is allocated.
public enum JSONScanner {
    /// Checks `bytes`. Numbers of any size are taken.
    /// - Returns: whether it has line breaks, which can be between its tokens only: a string cannot hold a raw one.
    /// - Throws: ``JSONError`` with the place of the first byte that does not fit, or where nesting exceeds `maximumDepth`.
    @discardableResult
    public static func validate(
        _ bytes: [UInt8], maximumDepth: Int = JSONValue.defaultMaximumDepth
    ) throws(JSONError) -> Bool {
        try JSONReader.read(bytes, rules: .text, maximumDepth: maximumDepth) { reader throws(JSONError) in
            try reader.skip()
            try reader.finish()
            return reader.hasLineBreaks
        }
    }

    /// Whether `bytes` are one JSON text nested no deeper than `maximumDepth`.
    public static func isValid(_ bytes: [UInt8], maximumDepth: Int = JSONValue.defaultMaximumDepth) -> Bool {
        (try? validate(bytes, maximumDepth: maximumDepth)) != nil
    }
}
