import Events
import JSON
import NotifierCore

/// An event as the notifier gets it; `second` is when the stream took it, counted from the year 2026.
func received(
    _ type: String, _ fields: JSONObject, identity: String = "event-1", second: Int64 = 1, sequence: UInt64? = nil
) -> ReceivedEvent {
    ReceivedEvent(
        event: BusinessEvent(type: type, fields: fields), identity: identity,
        order: EventOrder(
            storedAt: Timestamp(seconds: 1_767_225_600 + second), sequence: sequence ?? UInt64(clamping: second)))
}
