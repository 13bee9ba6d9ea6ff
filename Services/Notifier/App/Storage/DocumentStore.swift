package import EventBus
package import JSON
package import NotifierCore

/// A value that is kept as one JSON document.
package protocol StoredDocument: Sendable, Equatable {
    /// What holds while nothing is stored.
    init()
    init?(json: JSONValue)
    var json: JSONValue { get }
}

extension Inbox: StoredDocument {
    package init() { self.init(items: []) }
}

extension AlertState: StoredDocument {
    package init() { self.init(phase: .inactive) }
}

/// A document in the bucket that is not what it should be. Nothing is written over it.
package struct UnreadableDocument: Error, CustomStringConvertible {
    package let bucket: String
    package let key: String

    package var description: String {
        "the document \(key) in the bucket \(bucket) cannot be read; purge it to begin anew"
    }
}

/// Documents in a key-value bucket, changed by compare-and-set: of two processes that change one at the same time, the
/// second sees what the first wrote.
package struct DocumentStore<Document: StoredDocument>: Sendable {
    private let bucket: any KeyValueBucket

    package init(bucket: any KeyValueBucket) { self.bucket = bucket }

    /// A document and its revision: 0 while nothing is stored.
    package struct Versioned: Sendable, Equatable {
        package var document: Document
        package var revision: UInt64
    }

    package func read(_ key: String) async throws -> Versioned { try await load(key).versioned }

    /// Changes a document, beginning anew with `change` whenever somebody else was faster, and returns what `change`
    /// did last with the document as it is stored then. What leaves the document as it was writes nothing.
    ///
    /// `change` must be idempotent: after a lost answer the caller cannot know whether the change was written.
    package func change<Result>(
        _ key: String, _ change: (inout Document) throws -> Result
    ) async throws -> (result: Result, stored: Versioned) {
        for _ in 0..<DocumentStore.maximumConflicts {
            let (current, exists) = try await load(key)
            var document = current.document
            let result = try change(&document)
            if document == current.document { return (result, current) }
            do throws(BusError) {
                let revision = try await bucket.update(
                    key, document.json.serialized(), revision: exists ? current.revision : nil)
                return (result, Versioned(document: document, revision: revision))
            } catch {
                if error.code == .conflict { continue }
                throw error
            }
        }
        throw BusError(.timeout, "a document is changed by too many at once; try again")
    }

    /// Each conflict means that somebody else got on, so this many in a row is a fault, not a crowd.
    private static var maximumConflicts: Int { 100 }

    private func load(_ key: String) async throws -> (versioned: Versioned, exists: Bool) {
        guard let entry = try await bucket.get(key) else {
            return (Versioned(document: Document(), revision: 0), false)
        }
        guard let json = try? JSONValue(parsing: entry.value), let document = Document(json: json) else {
            throw UnreadableDocument(bucket: bucket.name, key: key)
        }
        return (Versioned(document: document, revision: entry.revision), true)
    }
}
