/// Why a client's request cannot be answered, in words for the client. Quotes names and operators, never values.
package struct RequestProblem: Error, Equatable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}
