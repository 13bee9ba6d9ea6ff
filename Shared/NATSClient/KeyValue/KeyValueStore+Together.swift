extension KeyValueStore {
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
