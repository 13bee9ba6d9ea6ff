/// Why a source, or one of its tables, can't be followed at the moment. The message is for the operator and says what to do;
/// it holds no values of rows.
package struct SourceError: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Code: String, Sendable {
        /// The database, or a table, is not there.
        case missing
        /// The file is something else.
        case notADatabase
        /// Another program has kept it locked for too long.
        case locked
        case readOnly
        case full
        /// Another process publishes its changes.
        case heldElsewhere
        /// The file was replaced, or removed, while it was open.
        case replaced
        /// It is something that can't be followed.
        case unsupported
        case failed
    }

    package let code: Code
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { message }
}
