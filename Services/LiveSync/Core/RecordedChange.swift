/// A change as a source recorded it: rows and key still as text.
package struct RecordedChange: Sendable, Hashable {
    /// A row's text, unless it is too long even to be looked at.
    package enum RowText: Sendable, Hashable {
        case none
        case text(String)
        case tooLarge
    }

    /// Its number in the database: it only grows.
    package var sequence: UInt64
    package var table: String
    /// The name of a ``RowChange/Action``.
    package var action: String
    package var key: String
    package var old: RowText
    package var new: RowText
    /// RFC 3339.
    package var recordedAt: String

    package init(
        sequence: UInt64, table: String, action: String, key: String, old: RowText = .none, new: RowText = .none,
        recordedAt: String
    ) {
        self.sequence = sequence
        self.table = table
        self.action = action
        self.key = key
        self.old = old
        self.new = new
        self.recordedAt = recordedAt
    }
}
