public import Events
public import JSON

/// A call of a method, as a service sees it.
public struct RPCRequest: Sendable {
    /// `notifications.list`; for a hook `hook.<namespace>.<subscribe|publish>`.
    public let method: String
    public let parameters: JSONValue
    public let caller: Caller
    /// All headers, among them `traceparent`, to be passed on with what is published for this call.
    public let headers: BusHeaders

    public init(method: String, parameters: JSONValue, caller: Caller = Caller(), headers: BusHeaders = [:]) {
        self.method = method
        self.parameters = parameters
        self.caller = caller
        self.headers = headers
    }
}

/// What a call is answered with instead of a result. The message goes to the client: it says what to do next, and holds
/// neither secrets nor others' data.
public struct RPCError: Error, Sendable, Equatable, CustomStringConvertible {
    /// As in HTTP: 400 for wrong parameters, 403, 404, 409, 500, 503.
    public let code: Int
    public let message: String

    public init(_ code: Int, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { "\(code): \(message)" }
}

/// The answer to a call: `{"result": …}` or `{"error": {"code": …, "message": …}}`.
public enum RPCReply: Sendable, Equatable {
    case result(JSONValue)
    case error(RPCError)

    /// Reads an answer; nil when it is neither form. A missing result is `null`.
    public init?(payload: [UInt8]) {
        guard case .object(let reply)? = try? JSONValue(parsing: payload) else { return nil }
        if let error = reply["error"], !error.isNull {
            let code = error["code"]?.integerValue.flatMap { Int(exactly: $0) } ?? 500
            self = .error(RPCError(code, error["message"]?.stringValue ?? "the call failed"))
        } else {
            self = .result(reply["result"] ?? .null)
        }
    }

    public var payload: [UInt8] {
        switch self {
        case .result(let value): JSONValue.object(["result": value]).serialized()
        case .error(let error):
            JSONValue.object(
                ["error": .object(["code": .integer(Int64(error.code)), "message": .string(error.message)])]
            ).serialized()
        }
    }
}

extension EventBus {
    /// Calls `method` of whichever service answers it.
    /// - Throws: ``RPCError`` if the service answers with one (502 if what it answers is no reply), ``BusError`` if no
    ///   answer comes.
    public func call(
        _ method: String, _ parameters: JSONValue, subjects: Subjects, as caller: Caller? = nil,
        headers: BusHeaders = [:], timeout: Duration = .seconds(10)
    ) async throws -> JSONValue {
        var request = BusMessage(
            subject: subjects.rpc(method), headers: headers, payload: parameters.serialized())
        caller?.write(to: &request.headers)
        let reply = try await self.request(request, timeout: timeout)
        switch RPCReply(payload: reply.payload) {
        case .result(let value)?: return value
        case .error(let error)?: throw error
        case nil: throw RPCError(502, "the answer of \(method) is neither a result nor an error")
        }
    }
}
