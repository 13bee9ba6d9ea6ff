internal import Foundation

/// What the clocks on the wall show somewhere.
package struct TimeZoneRules: Sendable {
    package let name: String
    /// Seconds that the wall is ahead of UTC at a moment, given in seconds since 1970.
    let offset: @Sendable (Int64) -> Int64

    package init(name: String, offset: @escaping @Sendable (Int64) -> Int64) {
        self.name = name
        self.offset = offset
    }

    package static let utc = TimeZoneRules(name: "UTC") { _ in 0 }

    /// The zone of a name such as `Europe/Berlin`; nil if there is none.
    package init?(named name: String) {
        if name == "UTC" {
            self = .utc
            return
        }
        guard let zone = TimeZone(identifier: name) else { return nil }
        self.init(name: name) { moment in
            Int64(zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(moment))))
        }
    }
}
