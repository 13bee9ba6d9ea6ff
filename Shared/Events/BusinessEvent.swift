public import JSON

/// Something that happened in an application, as it travels on `apus.event.<type>`: an object with the event's fields.
///
/// Any type and any fields are allowed. Those that this toolkit knows have a Swift type of their own
/// (``OrderStatusChanged``, ``InventoryChanged``) that is read from the fields and keeps all of them.
public struct BusinessEvent: Sendable, Hashable {
    /// With dots: `order.status_changed`.
    public var type: String
    public var fields: JSONObject

    public init(type: String, fields: JSONObject) {
        self.type = type
        self.fields = fields
    }

    public init(_ event: some TypedBusinessEvent) {
        self.init(type: Swift.type(of: event).type, fields: event.fields)
    }

    /// The event as its Swift type; nil if it is of another type.
    /// - Throws: ``EventFieldError`` if it is of that type and its fields are not.
    public func typed<Event: TypedBusinessEvent>(_: Event.Type = Event.self) throws(EventFieldError) -> Event? {
        type == Event.type ? try Event(fields: fields) : nil
    }
}

/// A business event whose fields are known.
public protocol TypedBusinessEvent: Sendable, Hashable {
    /// With dots: `order.status_changed`.
    static var type: String { get }

    /// All fields, the known ones and any others.
    var fields: JSONObject { get }

    init(fields: JSONObject) throws(EventFieldError)
}

/// Why fields are not those of an event. Names the field, never its value.
public struct EventFieldError: Error, Equatable, CustomStringConvertible {
    public let field: String
    public let problem: Problem

    public enum Problem: Sendable, Equatable {
        case missing
        /// Both are phrases: "a number".
        case kind(found: String, expected: String)
    }

    public init(field: String, problem: Problem) {
        self.field = field
        self.problem = problem
    }

    public var description: String {
        switch problem {
        case .missing: "the field \(field) is missing"
        case .kind(let found, let expected): "the field \(field) is \(found), but must be \(expected)"
        }
    }
}

extension JSONObject {
    /// The field, which must be there and not `null`.
    func required<Value>(
        _ field: String, _ expected: String, _ read: (JSONValue) -> Value?
    ) throws(EventFieldError) -> Value {
        guard let value = self[field], !value.isNull else { throw EventFieldError(field: field, problem: .missing) }
        guard let read = read(value) else {
            throw EventFieldError(field: field, problem: .kind(found: value.kindDescription, expected: expected))
        }
        return read
    }
}

extension JSONValue {
    /// The text of an id, which programs write as a string or as an integer.
    var identifierText: String? {
        switch self {
        case .string(let text): text.isEmpty ? nil : text
        case .integer(let number): String(number)
        default: nil
        }
    }

    var finiteNumber: Double? { doubleValue.flatMap { $0.isFinite ? $0 : nil } }
}
