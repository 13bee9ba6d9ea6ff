internal import EventBus
internal import Events
internal import NATSClient

/// A durable pull consumer of JetStream's.
struct NATSBusConsumer: BusConsumer {
    let consumer: PullConsumer

    func fetch(_ maximum: Int, wait: Duration) async throws(BusError) -> [Delivery] {
        let messages: [NATSMessage]
        do throws(NATSError) {
            messages = try await consumer.fetch(maximum, wait: wait)
        } catch  where error.code == .cancelled {
            return []
        } catch {
            throw BusError(error)
        }
        return messages.compactMap(delivery)
    }

    private func delivery(_ message: NATSMessage) -> Delivery? {
        guard let metadata = message.deliveryMetadata else { return nil }
        // The reply subject is for answering the delivery, nobody's business otherwise.
        var bare = BusMessage(message)
        bare.replyTo = nil
        return Delivery(
            message: bare, sequence: metadata.sequence, attempt: Int(clamping: metadata.deliveries),
            storedAt: Timestamp(nanoseconds: metadata.storedAtNanoseconds), pending: metadata.pending
        ) { [consumer] (answer) async throws(BusError) in
            try await translated { () async throws(NATSError) in
                switch answer {
                case .acknowledge: try await consumer.acknowledge(message)
                case .acknowledgeUnconfirmed: try consumer.acknowledgeUnconfirmed(message)
                case .retry(let delay): try await consumer.retry(message, after: delay)
                case .extend: try await consumer.extend(message)
                case .terminate: try await consumer.terminate(message)
                }
            }
        }
    }
}
