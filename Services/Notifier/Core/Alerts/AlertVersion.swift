package import Events
package import JSON

/// What orders the events of one alert where the sender says it: a number, or a time in RFC 3339.
package enum AlertVersion: Sendable, Equatable {
    case integer(Int64)
    case number(Double)
    case time(Timestamp)

    /// Nil for what orders nothing.
    package init?(_ value: JSONValue) {
        switch value {
        case .integer(let integer): self = .integer(integer)
        case .double(let double) where double.isFinite: self = .number(double)
        case .string(let text):
            guard let time = Timestamp(rfc3339: text) else { return nil }
            self = .time(time)
        default: return nil
        }
    }

    package var json: JSONValue {
        switch self {
        case .integer(let integer): .integer(integer)
        case .number(let double): .double(double)
        case .time(let time): .string(time.description)
        }
    }

    /// A sender that goes over from numbers to times is newer then: otherwise nothing of it would ever count again.
    package func isNewer(than other: AlertVersion) -> Bool {
        switch (self, other) {
        case (.integer(let new), .integer(let old)): new > old
        case (.number(let new), .number(let old)): new > old
        case (.integer(let new), .number(let old)): Double(new) > old
        case (.number(let new), .integer(let old)): new > Double(old)
        case (.time(let new), .time(let old)): new > old
        case (.time, _), (_, .time): true
        }
    }
}
