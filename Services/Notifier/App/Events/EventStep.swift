internal import EventBus
internal import NotifierCore

/// One thing to be done about an event. An event is done when all of its steps are.
struct EventStep: Sendable {
    enum Action: Sendable {
        case deliver(AddressedNotification)
        case alert(AlertSignal)
    }

    let action: Action
    /// Which of the batch's events it belongs to.
    let ticket: Int
    /// How often that has been delivered.
    let attempt: Int
    /// What notifications carry along: the trace context of the event.
    let headers: BusHeaders

    /// Steps of the same lane are done one after another in the order of the stream; different lanes at the same time.
    /// Whatever is of one user or one alert is in one lane.
    var lane: String {
        switch action {
        case .deliver(let notice): "notice \(notice.channel)"
        case .alert(let signal): "alert \(AlertStore.key(signal))"
        }
    }

    enum Result: Sendable, Equatable {
        case done
        /// It will never succeed.
        case failed(String)
        /// It may succeed later.
        case postponed
    }
}
