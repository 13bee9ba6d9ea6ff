internal import Events
package import GatewayWire

/// The part of a channel's history that was asked for.
package struct HistoryPage {
    private let command: HistoryCommand

    /// How many messages one answer holds at the most.
    package static let maximumLimit = 1000

    package init(_ command: HistoryCommand) { self.command = command }

    /// - Throws: ``ClientFailure/unrecoverablePosition`` when `since` belongs to another life of the stream.
    package func publications(_ history: Recovery) throws(ClientFailure) -> [Publication] {
        var messages = history.messages
        if let since = command.since {
            guard since.epoch.isEmpty || since.epoch == history.position.epoch else { throw .unrecoverablePosition }
            messages =
                command.isReversed
                ? messages.filter { $0.sequence < since.offset } : messages.filter { $0.sequence > since.offset }
        }
        if command.isReversed { messages.reverse() }
        // As in Centrifuge's protocol, 0 asks for the position only and a negative number for everything.
        let limit = command.limit < 0 ? HistoryPage.maximumLimit : min(command.limit, HistoryPage.maximumLimit)
        return messages.prefix(limit).map(\.publication)
    }

    func message(_ history: Recovery, _ reference: CommandReference) -> ServerMessage {
        do throws(ClientFailure) {
            return .history(
                publications: try publications(history), position: history.position, reference)
        } catch {
            return .failure(error, reference)
        }
    }
}
