package import EventBus
package import Events

/// The stream that keeps the history of the tables' channels.
package struct TableStream: Sendable {
    private let bus: any EventBus
    private let subjects: Subjects

    package init(bus: any EventBus, subjects: Subjects) {
        self.bus = bus
        self.subjects = subjects
    }

    package var name: String { subjects.historyStream(namespace: "table") }

    /// The gateway owns the stream's limits; it is made with the built-in ones if the gateway has not been there yet.
    package func ensure() async throws(BusError) {
        do throws(BusError) {
            _ = try await bus.streamState(name)
        } catch {
            guard error.code == .notFound, let history = ChannelHistory.builtIn["table"] else { throw error }
            try await bus.ensureStream(.channelHistory(history, namespace: "table", subjects: subjects))
        }
    }

    /// Where the newest message of any table's channel is.
    package func position() async throws(BusError) -> StreamPosition {
        try await ensure()
        let state = try await bus.streamState(name)
        return StreamPosition(epoch: state.epoch, offset: state.lastSequence)
    }
}
