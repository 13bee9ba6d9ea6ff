package import EventBus
package import Events
package import NotifierCore

/// The states of all alerts, one document for each rule and value of its key.
package struct AlertStore: Sendable {
    private let documents: DocumentStore<AlertState>
    package let bucket: any KeyValueBucket

    package init(bucket: any KeyValueBucket) {
        self.bucket = bucket
        documents = DocumentStore(bucket: bucket)
    }

    /// The bucket that holds them.
    package static func bucket(_ subjects: Subjects) -> BucketSpecification {
        BucketSpecification(name: subjects.bucket("alerts"))
    }

    /// `<rule>.<key>`; the parts of a key of several fields are joined by a byte that no part is encoded with.
    package static func key(_ signal: AlertSignal) -> String {
        "\(signal.rule.name).\(signal.key.map(DocumentKey.token).joined(separator: "/"))"
    }

    /// The rule that a document belongs to.
    package static func rule(ofKey key: String) -> String { String(key.prefix { $0 != "." }) }

    /// What an event did to an alert.
    package struct Change: Sendable {
        package var outcome: AlertState.Outcome
        /// What is to be published now, oldest first.
        package var outbox: [AddressedNotification]
        /// Those of the outbox that this event put there: nobody can have published them before.
        package var fresh: Set<String>
    }

    /// Lets an event count, and writes the new state with the news in its outbox.
    package func apply(_ signal: AlertSignal) async throws -> Change {
        let (result, stored) = try await documents.change(AlertStore.key(signal)) { state in
            let waiting = Set(state.outbox.map(\.notification.id))
            let outcome = try state.apply(signal)
            return (outcome, Set(state.outbox.map(\.notification.id)).subtracting(waiting))
        }
        return Change(outcome: result.0, outbox: stored.document.outbox, fresh: result.1)
    }

    /// Takes what was published out of the outbox.
    package func published(_ ids: Set<String>, of signal: AlertSignal) async throws {
        _ = try await documents.change(AlertStore.key(signal)) { state in state.published(ids) }
    }
}
