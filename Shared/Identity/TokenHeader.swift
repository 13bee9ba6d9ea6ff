internal import JSON

/// The first part of a token: how it is signed.
struct TokenHeader {
    private(set) var algorithm: String?
    private(set) var keyID: String?
    /// Whether it names extensions that must be understood.
    private(set) var hasCriticalExtensions = false

    /// Reads the members of an object that was begun.
    init(_ reader: inout JSONReader) throws(JSONError) {
        while let name = try reader.nextName() {
            switch name {
            case "alg": algorithm = try reader.string()?.string
            case "kid": keyID = try reader.string()?.string
            case "crit":
                hasCriticalExtensions = true
                try reader.skip()
            default: try reader.skip()
            }
        }
    }
}
