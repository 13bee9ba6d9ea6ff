internal import EventBus
internal import JSON

extension RPCRequest {
    /// Who asks.
    var user: String {
        get throws(RPCError) {
            guard let user = caller.user else {
                throw RPCError(401, "this call needs a user: connect with a token that has a subject")
            }
            return user
        }
    }

    /// A parameter that must be there.
    func required<Value>(
        _ name: String, _ expected: String, _ read: (JSONValue) -> Value?
    ) throws(RPCError) -> Value {
        guard let value = try optional(name, expected, read) else {
            throw RPCError(400, "the parameter \(name) is missing: \(expected)")
        }
        return value
    }

    /// A parameter that may be left out; `null` is left out too.
    func optional<Value>(
        _ name: String, _ expected: String, _ read: (JSONValue) -> Value?
    ) throws(RPCError) -> Value? {
        guard let parameters = parameters.objectValue else {
            throw RPCError(400, "the parameters must be an object")
        }
        guard let value = parameters[name], !value.isNull else { return nil }
        guard let read = read(value) else { throw RPCError(400, "the parameter \(name) must be \(expected)") }
        return read
    }
}

/// Answers with 503 while the bus cannot be asked: the caller may try again.
func unavailableIfBusIs<Value>(_ operation: () async throws -> Value) async throws -> Value {
    do {
        return try await operation()
    } catch let error as BusError where error.isRetryable {
        throw RPCError(503, "the inbox cannot be reached at the moment; try again")
    }
}
