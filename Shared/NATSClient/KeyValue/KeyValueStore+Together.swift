extension KeyValueStore {
    /// As ``get(_:)`` for several keys at once: what became of each.
    public func get(together keys: [String]) async -> [Result<Entry?, NATSError>] {
        guard reading == .anyReplica else {
            var results: [Result<Entry?, NATSError>] = []
            for key in keys {
                do throws(NATSError) {
                    results.append(.success(try await get(key)))
                } catch {
                    results.append(.failure(error))
                }
            }
            return results
        }
        var results = Array(repeating: Result<Entry?, NATSError>.failure(.notConnected), count: keys.count)
        var requests: [NATSMessage] = []
        var indices: [Int] = []
        for (index, key) in keys.enumerated() {
            do throws(NATSError) {
                // The key is asked for by the subject, with no payload: the shortest way that there is.
                requests.append(NATSMessage(subject: "$JS.API.DIRECT.GET.\(stream).\(try subject(of: key))"))
                indices.append(index)
            } catch {
                results[index] = .failure(error)
            }
        }
        let found = await jetStream.connection.requestTogether(requests, timeout: jetStream.timeout) { present($0) }
        for (index, one) in zip(indices, found) { results[index] = one }
        return results
    }

    /// What a direct get has found.
    private func present(_ answer: NATSAnswer) -> Result<Entry?, NATSError> {
        switch answer.status {
        case nil: break
        case 404?: return .success(nil)
        case let status?: return .failure(NATSError(.failed, "JetStream refused a direct get with status \(status)"))
        }
        guard let message = StreamMessage(direct: answer.message) else {
            return .failure(
                NATSError(.failed, "JetStream answered a message in a way that is not understood"))
        }
        let entry = entry(message)
        return .success(entry.operation == .put ? entry : nil)
    }

    /// As ``update(_:_:revision:)`` for several keys at once, each on its own condition: what became of each.
    public func update(
        together updates: [(key: String, value: [UInt8], revision: UInt64?)]
    ) async -> [Result<UInt64, NATSError>] {
        var results: [Result<UInt64, NATSError>?] = Array(repeating: nil, count: updates.count)
        var messages: [NATSMessage] = []
        var indices: [Int] = []
        for (index, one) in updates.enumerated() {
            do throws(NATSError) {
                messages.append(
                    NATSMessage(
                        subject: try subject(of: one.key),
                        headers: [JetStream.expectedLastSubjectSequence: "\(one.revision ?? 0)"],
                        payload: one.value))
                indices.append(index)
            } catch {
                results[index] = .failure(error)
            }
        }
        for (index, result) in zip(indices, await jetStream.publishTogether(messages)) {
            let one = updates[index]
            switch result {
            case .success(let stored): results[index] = .success(stored.sequence)
            case .failure(let error) where error.code == .conflict && one.revision == nil:
                // What is there may be only the mark of a deletion.
                do throws(NATSError) {
                    results[index] = .success(try await update(one.key, one.value, revision: nil))
                } catch {
                    results[index] = .failure(error)
                }
            case .failure(let error): results[index] = .failure(explained(error))
            }
        }
        return results.map { $0 ?? .failure(.notConnected) }
    }
}
