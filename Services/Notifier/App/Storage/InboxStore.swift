package import EventBus
package import Events
package import JSON
package import NotifierCore

/// The inboxes of all users, one document each.
package struct InboxStore: Sendable {
    private let documents: DocumentStore<Inbox>
    private let limits: Inbox.Limits

    package init(bucket: any KeyValueBucket, limits: Inbox.Limits) {
        documents = DocumentStore(bucket: bucket)
        self.limits = limits
    }

    /// The bucket that holds them.
    package static func bucket(_ subjects: Subjects) -> BucketSpecification {
        BucketSpecification(name: subjects.bucket("inboxes"))
    }

    package typealias Versioned = DocumentStore<Inbox>.Versioned

    package func read(_ user: String) async throws -> Versioned { try await documents.read(DocumentKey.token(user)) }

    package func insert(
        _ notification: Notification, for user: String
    ) async throws -> (result: Inbox.Insertion, stored: Versioned) {
        try await change(user) { inbox in inbox.insert(notification, limits: limits) }
    }

    package func change<Result>(
        _ user: String, _ change: (inout Inbox) throws -> Result
    ) async throws -> (result: Result, stored: Versioned) {
        try await documents.change(DocumentKey.token(user), change)
    }
}

extension DocumentStore<Inbox>.Versioned {
    /// What every answer and notification says of the inbox. The revision only grows: of two counts, the one with the
    /// greater revision is the later.
    package var summary: JSONObject {
        [
            "unread_count": .integer(Int64(document.unreadCount)),
            "inbox_revision": .integer(Int64(clamping: revision)),
        ]
    }
}
