/// The names of the headers that messages on the bus carry.
public enum HeaderName {
    /// The name of the event that a channel message is, `message` unless set.
    public static let event = "Apus-Event"
    /// Makes a publish to a stream idempotent.
    public static let messageID = "Nats-Msg-Id"
    /// Who a request is made for: the user's id, the roles (comma-separated), the connection's id.
    public static let user = "Apus-User"
    public static let roles = "Apus-Roles"
    public static let client = "Apus-Client"
    /// Of a channel message: what its publisher would have said in messages of their own before this one, had there been time;
    /// a JSON array in ASCII of their payloads. An object, where this message's payload is one too, has only the members that
    /// were others then. Subscribers get each by itself; the history has this message alone.
    public static let overtaken = "Apus-Overtaken"
    /// Of a channel message: the connection that does not get it, being the one that caused it.
    public static let exclude = "Apus-Exclude"
    /// Of a dead letter: why, after how many attempts, and where the message came from.
    public static let reason = "Apus-Reason"
    public static let attempts = "Apus-Attempts"
    public static let originalSubject = "Apus-Subject"
    /// Of a task's dead letter: its id, and what each attempt failed of, as a JSON list.
    public static let taskID = "Apus-Task-Id"
    public static let errors = "Apus-Errors"
    /// What JetStream adds when it republishes a stored message: its sequence, and the previous one on its subject.
    public static let sequence = "Nats-Sequence"
    public static let lastSequence = "Nats-Last-Sequence"
    public static let stream = "Nats-Stream"
    /// W3C trace context.
    public static let traceParent = "traceparent"
    public static let traceState = "tracestate"
}
