extension KeyValueStore {
    /// Those of several keys that have a value now: their entries.
    /// - Throws: what went wrong with one of them; nothing is known of the others then.
    public func present(among keys: [String]) async throws(NATSError) -> [Entry] {
        guard reading == .anyReplica else {
            var entries: [Entry] = []
            for key in keys {
                if let entry = try await get(key) { entries.append(entry) }
            }
            return entries
        }
        var refusal: NATSError?
        let found = try await jetStream.connection.requestAtOnce(timeout: jetStream.timeout, { entry(in: $0) }) { add in
            for key in keys {
                do throws(NATSError) {
                    add(try directGet(of: key))
                } catch {
                    refusal = refusal ?? error
                }
            }
        }
        if let refusal { throw refusal }
        return found.compactMap(\.self)
    }

    /// Writes several keys at once that have never had a value, and returns when all of them are written.
    /// - Parameter write: makes keys and values, one by one; called once.
    /// - Throws: why one was not written: `conflict` if it has been there, even if it was deleted since; of the others it is not
    ///   known then.
    public func create(
        atOnce write: (_ add: @escaping (_ key: String, _ value: [UInt8]) -> Void) -> Void
    ) async throws(NATSError) {
        var refusal: NATSError?
        do throws(NATSError) {
            try await jetStream.publishAtOnce { add in
                write { key, value in
                    do throws(NATSError) {
                        let headers: NATSHeaders = [JetStream.expectedLastSubjectSequence: "0"]
                        add(NATSMessage(subject: try subject(of: key), headers: headers, payload: value))
                    } catch {
                        refusal = refusal ?? error
                    }
                }
            }
        } catch {
            throw explained(error)
        }
        if let refusal { throw refusal }
    }

    /// What a direct get has found.
    private func entry(in answer: NATSAnswer) -> Result<Entry?, NATSError> {
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

    /// The key is asked for by the subject, with no payload: the shortest way that there is.
    private func directGet(of key: String) throws(NATSError) -> NATSMessage {
        NATSMessage(subject: "$JS.API.DIRECT.GET.\(stream).\(try subject(of: key))")
    }
}
