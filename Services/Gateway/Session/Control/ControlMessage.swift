/// What gateways say to one another about orders.
package enum ControlMessage: Sendable, Equatable {
    /// The gateway lives; said every so often. One that has just started asks the others to say so too.
    case alive(node: String, asks: Bool)
    /// The gateway stops.
    case goodbye(node: String)
    case question(id: String, node: String, ControlQuestion)
    /// A part of the answer to a question; `isLast` ends it.
    case answer(id: String, node: String, ControlAnswer, isLast: Bool)
}
