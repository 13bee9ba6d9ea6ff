/// An event as CloudEvents 1.0 describes it, whichever way it travelled.
///
/// In *binary mode* the attributes are headers (`ce-id`, `ce-type`, …) and the payload is the data; in *structured mode*
/// the payload is one JSON object with both (`Content-Type: application/cloudevents+json`).
public struct CloudEvent: Sendable, Equatable {
    /// With `source` the event's identity.
    public var id: String
    /// Where it happened: a URI reference.
    public var source: String
    /// What happened: `order.status_changed`, `com.example.order.paid`.
    public var type: String
    public var time: Timestamp?
    public var subject: String?
    /// The data's media type; nil is JSON.
    public var dataContentType: String?
    public var dataSchema: String?
    /// Other attributes, by their names of lower-case letters and digits.
    public var extensions: [String: String]
    public var data: [UInt8]

    public init(
        id: String, source: String, type: String, time: Timestamp? = nil, subject: String? = nil,
        dataContentType: String? = nil, dataSchema: String? = nil, extensions: [String: String] = [:],
        data: [UInt8] = []
    ) {
        self.id = id
        self.source = source
        self.type = type
        self.time = time
        self.subject = subject
        self.dataContentType = dataContentType
        self.dataSchema = dataSchema
        self.extensions = extensions
        self.data = data
    }

    public static let specificationVersion = "1.0"

    /// Whether the data is JSON, by its media type.
    public var hasJSONData: Bool { dataContentType.map(CloudEvent.isJSON) ?? true }

    /// A media type without its parameters, in lower case.
    static func name(ofMediaType mediaType: String) -> String {
        mediaType.prefix { $0 != ";" }.lowercased().filter { $0 != " " }
    }

    static func isJSON(_ mediaType: String) -> Bool {
        let name = name(ofMediaType: mediaType)
        return name == "application/json" || name == "text/json" || name.hasSuffix("+json")
    }
}

/// What is wrong with a CloudEvent. Names the attribute, never its value.
public struct CloudEventError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The attribute; `data` for the payload.
    public let attribute: String
    /// "is missing", "must be …".
    public let problem: String

    public init(_ attribute: String, _ problem: String) {
        self.attribute = attribute
        self.problem = problem
    }

    public var description: String { "the CloudEvents attribute \(attribute) \(problem)" }
}

// MARK: - Attributes as text

extension CloudEvent {
    /// Builds an event of attributes by their names, as both modes read them, and checks each.
    init(attributes: [String: String], data: [UInt8]) throws(CloudEventError) {
        var rest = attributes
        func take(_ name: String) throws(CloudEventError) -> String? {
            guard let value = rest.removeValue(forKey: name) else { return nil }
            guard !value.isEmpty else { throw CloudEventError(name, "must not be empty") }
            return value
        }
        func require(_ name: String) throws(CloudEventError) -> String {
            guard let value = try take(name) else { throw CloudEventError(name, "is missing") }
            return value
        }
        // Many senders by hand leave the version out; another one than ours may mean anything.
        if let version = try take("specversion"), version != CloudEvent.specificationVersion {
            throw CloudEventError("specversion", "must be \(CloudEvent.specificationVersion)")
        }
        id = try require("id")
        type = try require("type")
        source = try require("source")
        guard CloudEvent.isReference(source) else { throw CloudEventError("source", "must be a URI reference") }
        if let text = try take("time") {
            guard let read = Timestamp(rfc3339: text) else {
                throw CloudEventError("time", "must be a time as in 2026-01-01T00:00:00Z")
            }
            time = read
        } else {
            time = nil
        }
        subject = try take("subject")
        dataContentType = try take("datacontenttype")
        dataSchema = try take("dataschema")
        if let dataSchema {
            guard CloudEvent.isReference(dataSchema), dataSchema.utf8.contains(UInt8(ascii: ":")) else {
                throw CloudEventError("dataschema", "must be an absolute URI")
            }
        }
        for name in rest.keys.sorted() where !CloudEvent.isAttributeName(name) {
            throw CloudEventError(CloudEvent.printable(name), "must be named with letters and digits only")
        }
        extensions = rest
        self.data = data
    }

    /// The attributes that are set, by their names, as both modes write them: the required ones first.
    var attributes: [(name: String, value: String)] {
        var attributes = [
            (name: "specversion", value: CloudEvent.specificationVersion), (name: "id", value: id),
            (name: "source", value: source), (name: "type", value: type),
        ]
        if let time { attributes.append((name: "time", value: time.description)) }
        if let subject { attributes.append((name: "subject", value: subject)) }
        if let dataContentType { attributes.append((name: "datacontenttype", value: dataContentType)) }
        if let dataSchema { attributes.append((name: "dataschema", value: dataSchema)) }
        for (name, value) in extensions.sorted(by: { $0.key < $1.key }) {
            attributes.append((name: name, value: value))
        }
        return attributes
    }

    static func isAttributeName(_ name: String) -> Bool {
        !name.isEmpty
            && name.utf8.allSatisfy {
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
            }
    }

    /// What no URI reference holds: white space, control characters and a few others.
    private static func isReference(_ text: String) -> Bool {
        text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F && !"\"<>\\^`{|}".utf8.contains($0) }
    }

    /// A foreign name as it may stand in a message.
    private static func printable(_ name: String) -> String {
        String(name.unicodeScalars.prefix(32).map { $0.value > 0x20 && $0.value < 0x7F ? Character($0) : "?" })
    }
}
