// One after the other, for a bus that can do no better.

extension EventBus {
    public func append(atOnce write: (_ add: @escaping (BusMessage) -> Void) -> Void) async throws(BusError) {
        var messages: [BusMessage] = []
        write { messages.append($0) }
        var failure: BusError?
        for message in messages {
            do throws(BusError) {
                try await append(message, expecting: nil)
            } catch {
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
    }
}

extension KeyValueBucket {
    public func present(among keys: [String]) async throws(BusError) -> [KeyValueEntry] {
        var entries: [KeyValueEntry] = []
        for key in keys {
            if let entry = try await get(key) { entries.append(entry) }
        }
        return entries
    }

    public func create(atOnce write: (_ add: @escaping (_ key: String, _ value: [UInt8]) -> Void) -> Void)
        async throws(BusError)
    {
        var entries: [(key: String, value: [UInt8])] = []
        write { entries.append(($0, $1)) }
        var failure: BusError?
        for (key, value) in entries {
            do throws(BusError) {
                try await update(key, value, revision: 0)
            } catch {
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
    }
}
