internal import JSON

/// JetStream over a connection: its JSON interface by ordinary requests, so that nothing blocks and errors keep their
/// numbers (libnats's own `js_…` functions block the calling thread).
public struct JetStream: Sendable {
    public let connection: NATSConnection
    /// How long to wait for an answer of JetStream's.
    public var timeout: Duration

    public init(_ connection: NATSConnection, timeout: Duration = .seconds(5)) {
        self.connection = connection
        self.timeout = timeout
    }

    /// Calls `$JS.API.<operation>` and returns the answer.
    /// - Throws: the error in the answer, by its number; `noResponders` if the server has no JetStream (now).
    func call(_ operation: String, _ body: JSONValue? = nil) async throws(NATSError) -> JSONValue {
        let request = NATSMessage(subject: "$JS.API.\(operation)", payload: body?.serialized() ?? [])
        let answer: NATSMessage
        do throws(NATSError) {
            answer = try await connection.request(request, timeout: timeout)
        } catch  where error.code == .noResponders {
            throw NATSError(.noResponders, "JetStream does not answer; is it enabled on the server (-js)?")
        }
        return try JetStream.read(answer.payload)
    }

    /// The JSON object that JetStream answered.
    static func read(_ payload: [UInt8]) throws(NATSError) -> JSONValue {
        guard let answer = try? JSONValue(parsing: payload), answer.objectValue != nil else {
            throw NATSError(.failed, "what answered is not JetStream: no JSON object came back")
        }
        if let error = answer["error"], !error.isNull { throw NATSError(jetStream: error) }
        return answer
    }
}

extension NATSError {
    /// The one place that gives JetStream's numbers a meaning.
    init(jetStream error: JSONValue) {
        let number = error["err_code"]?.integerValue.map { Int(truncatingIfNeeded: $0) }
        let status = error["code"]?.integerValue
        let code: Code =
            switch (number, status) {
            case (10059, _), (10014, _), (10037, _), (10043, _): .notFound
            // Wrong last sequence, wrong last message id.
            case (10071, _), (10070, _): .conflict
            // Maximum messages or bytes exceeded; no storage left.
            case (10077, _), (10047, _), (10023, _), (10028, _): .streamFull
            case (10054, _): .payloadTooLarge
            // The subjects belong to another stream.
            case (10065, _): .invalidArgument
            // Name in use with another configuration, consumer exists with another configuration.
            case (10058, _), (10148, _), (10105, _), (10013, _): .specificationMismatch
            // The cluster has no leader for it now, JetStream is not ready.
            case (10008, _), (10009, _), (10076, _), (_, 503?): .noResponders
            case (_, 404?): .notFound
            case (_, 400?): .invalidArgument
            default: .failed
            }
        let description = error["description"]?.stringValue ?? "no description"
        self.init(code, "JetStream: \(description) (\(number.map { "\($0)" } ?? "?"))", jetStreamCode: number)
    }
}
