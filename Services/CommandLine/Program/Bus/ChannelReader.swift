internal import CommandLineCore
internal import EventBus
internal import Events
internal import JSON
internal import ServiceKit

/// Reads channels from the bus: what is kept of them first if that is wanted, then what comes, each message once.
struct ChannelReader: Sendable {
    let session: BusSession

    enum Start: Sendable, Equatable {
        case now
        case beginning
        case last(Int)
    }

    struct Message: Sendable {
        let channel: ChannelName
        let event: String
        let id: String?
        /// When it was stored; for channels without history, when it was received.
        let time: Timestamp
        /// Its place in the channel's stream; nil for channels without history.
        let offset: UInt64?
        /// Nil if the payload is no JSON.
        let data: JSONValue?
        let text: String
        /// How many have been read, this one included.
        let number: Int
    }

    /// How many messages may wait to be printed before the newest are dropped, which is told.
    private static let bufferLimit = 8192

    /// Reads until `onMessage` returns false or the task is cancelled.
    func read(
        _ channels: [ChannelName], from start: Start, onMessage: (Message) -> Bool, onReady: () -> Void,
        onWarning: (String) -> Void
    ) async throws {
        let inbox = Inbox(limit: ChannelReader.bufferLimit)
        var subscriptions: [any BusSubscription] = []
        defer { for subscription in subscriptions { subscription.cancel() } }
        // First listen, then read what was kept: nothing falls between the two, and what is in both is left out once.
        var streams: [ChannelName: String] = [:]
        for channel in Set(channels) {
            let stream = try await stream(of: channel)
            streams[channel] = stream
            let subject = stream == nil ? session.subjects.channel(channel) : session.subjects.live(channel)
            subscriptions.append(
                try session.bus.subscribe(subject) { inbox.add(Inbox.Item(channel: channel, message: $0)) })
        }
        try await session.bus.flush(timeout: .seconds(5))

        var number = 0
        var passed: [ChannelName: UInt64] = [:]
        if start != .now {
            for channel in Set(channels).sorted(by: { $0.description < $1.description }) {
                guard let stream = streams[channel] else {
                    onWarning("\(TerminalText.safe(channel.description)) keeps no history: only new messages are shown")
                    continue
                }
                for stored in try await kept(of: channel, in: stream, from: start) {
                    passed[channel] = stored.sequence
                    number += 1
                    guard onMessage(message(stored.message, of: channel, stored.storedAt, stored.sequence, number))
                    else {
                        return
                    }
                }
            }
        }
        onReady()
        for await item in inbox.items {
            if let item {
                let offset = item.message.headers[HeaderName.sequence].flatMap(UInt64.init)
                if let offset, let last = passed[item.channel], offset <= last { continue }
                number += 1
                guard onMessage(message(item.message, of: item.channel, .now, offset, number)) else { return }
            } else if Console.hasLostReader {
                Console.endForLackOfReader()
            }
            let dropped = inbox.takeDropped()
            if dropped > 0 { onWarning("\(dropped) messages came faster than they could be printed and were left out") }
        }
    }

    /// The stream that keeps the channel's history; nil if its namespace has none.
    private func stream(of channel: ChannelName) async throws -> String? {
        guard session.greeting.hasJetStream else { return nil }
        let name = session.subjects.historyStream(namespace: channel.namespace)
        return try await session.hasStream(name) ? name : nil
    }

    private func kept(of channel: ChannelName, in stream: String, from start: Start) async throws -> [StoredMessage] {
        var kept: [StoredMessage] = []
        let page = 256
        while true {
            let next = try await session.bus.messages(
                in: stream, subject: session.subjects.channel(channel), after: kept.last?.sequence ?? 0, limit: page)
            kept.append(contentsOf: next)
            if next.count < page { break }
        }
        if case .last(let count) = start { return kept.suffix(count) }
        return kept
    }

    private func message(
        _ message: BusMessage, of channel: ChannelName, _ time: Timestamp, _ offset: UInt64?, _ number: Int
    ) -> Message {
        let data = message.data ?? message.payload
        return Message(
            channel: channel, event: message.headers[HeaderName.event] ?? "message",
            id: message.headers[HeaderName.messageID], time: time, offset: offset,
            data: try? JSONValue(parsing: data), text: String(decoding: data, as: UTF8.self),
            number: number)
    }
}
