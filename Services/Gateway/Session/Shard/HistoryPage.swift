internal import Events
internal import GatewayWire

/// The part of a channel's history that a client asked for.
struct HistoryPage {
    private let command: HistoryCommand

    /// How many messages one answer holds at the most.
    static let maximumLimit = 1000

    init(_ command: HistoryCommand) { self.command = command }

    func message(_ history: Recovery, _ reference: CommandReference) -> ServerMessage {
        var messages = history.messages
        if let since = command.since {
            guard since.epoch.isEmpty || since.epoch == history.position.epoch else {
                return .failure(.unrecoverablePosition, reference)
            }
            messages =
                command.isReversed
                ? messages.filter { $0.sequence < since.offset } : messages.filter { $0.sequence > since.offset }
        }
        if command.isReversed { messages.reverse() }
        // As in Centrifuge's protocol, 0 asks for the position only and -1 for everything.
        let limit = command.limit < 0 ? HistoryPage.maximumLimit : min(command.limit, HistoryPage.maximumLimit)
        return .history(
            publications: messages.prefix(limit).map(\.publication), position: history.position, reference)
    }
}
