/// One of several writes to a bucket that are sent together; see ``KeyValueBucket/update(together:)``.
public struct KeyValueUpdate: Sendable, Equatable {
    public var key: String
    public var value: [UInt8]
    /// What the key's last revision must be; nil is: it has no value.
    public var revision: UInt64?

    public init(_ key: String, _ value: [UInt8], revision: UInt64?) {
        self.key = key
        self.value = value
        self.revision = revision
    }
}

// One after the other, for a bus that can do no better.

extension EventBus {
    @discardableResult
    public func append(together messages: [BusMessage]) async -> [Result<AppendReceipt, BusError>] {
        var results: [Result<AppendReceipt, BusError>] = []
        for message in messages {
            do throws(BusError) {
                results.append(.success(try await append(message, expecting: nil)))
            } catch {
                results.append(.failure(error))
            }
        }
        return results
    }
}

extension KeyValueBucket {
    public func get(together keys: [String]) async -> [Result<KeyValueEntry?, BusError>] {
        var results: [Result<KeyValueEntry?, BusError>] = []
        for key in keys {
            do throws(BusError) {
                results.append(.success(try await get(key)))
            } catch {
                results.append(.failure(error))
            }
        }
        return results
    }

    public func update(together updates: [KeyValueUpdate]) async -> [Result<UInt64, BusError>] {
        var results: [Result<UInt64, BusError>] = []
        for one in updates {
            do throws(BusError) {
                results.append(.success(try await update(one.key, one.value, revision: one.revision)))
            } catch {
                results.append(.failure(error))
            }
        }
        return results
    }
}
