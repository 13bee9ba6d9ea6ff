package import Events

/// What is known of one alert: the machine that turns events into the news of its beginning and its end.
///
/// ```
///                 fires                    clears
///   inactive ───────────────▶ firing ───────────────▶ resolved
///                               ▲                         │
///                               └────── fires ────────────┘
/// ```
/// Between the two conditions nothing happens: a quantity that goes to and fro at the threshold is told once. While the
/// alert fires, the incident keeps its id and takes over each event's fields. Events older than the last that counted
/// change nothing.
///
/// What is to be told stands in ``outbox`` until it is published, in the same document as the state that it comes from:
/// whoever reads the state after a crash publishes it, so no news is lost or told for a state that was never written.
package struct AlertState: Sendable, Equatable {
    package enum Phase: Sendable, Equatable {
        case inactive
        case firing(Incident)
        case resolved(incident: String, at: Timestamp)
    }

    /// From when an alert begins to fire until it is resolved.
    package struct Incident: Sendable, Equatable {
        package let id: String
        package let since: Timestamp
        /// Who was told of the beginning, and so will be of the end.
        package let channel: ChannelName
        /// The notification of the beginning, with the fields of the latest event.
        package var notification: Notification
    }

    /// The last event that counted.
    package struct Applied: Sendable, Equatable {
        package var order: EventOrder
        /// The last version that any event said.
        package var version: AlertVersion?
    }

    package var phase: Phase
    package var applied: Applied?
    /// What is not yet known to be published, oldest first.
    package private(set) var outbox: [AddressedNotification]

    package init(phase: Phase = .inactive, applied: Applied? = nil, outbox: [AddressedNotification] = []) {
        self.phase = phase
        self.applied = applied
        self.outbox = outbox
    }

    /// What became of an event.
    package enum Outcome: Sendable, Equatable {
        /// A newer one counted already, or this one did.
        case stale
        /// It counts, and nobody needs to be told.
        case recorded
        case fired
        case resolved
    }

    /// Lets the event count. On failure the state is as before.
    package mutating func apply(_ signal: AlertSignal) throws(RuleFailure) -> Outcome {
        guard isNews(signal) else { return .stale }
        let outcome: Outcome
        switch phase {
        case .inactive, .resolved:
            if signal.fires {
                phase = .firing(try begin(signal))
                outcome = .fired
            } else {
                outcome = .recorded
            }
        case .firing(var incident):
            if signal.clears {
                let notice = try notification(signal, .resolved, incident: incident.id)
                outbox.append(AddressedNotification(channel: incident.channel, notification: notice))
                phase = .resolved(incident: incident.id, at: signal.event.order.storedAt)
                outcome = .resolved
            } else {
                incident.notification.update(fields: signal.rule.carriedFields(signal.event))
                phase = .firing(incident)
                outcome = .recorded
            }
        }
        applied = Applied(
            order: max(signal.event.order, applied?.order ?? signal.event.order),
            version: signal.version ?? applied?.version)
        return outcome
    }

    /// Forgets what was published.
    package mutating func published(_ ids: Set<String>) { outbox.removeAll { ids.contains($0.notification.id) } }

    /// Where both say a version it decides, whatever order the stream has them in.
    private func isNews(_ signal: AlertSignal) -> Bool {
        guard let applied else { return true }
        if let version = signal.version, let last = applied.version { return version.isNewer(than: last) }
        return signal.event.order > applied.order
    }

    private mutating func begin(_ signal: AlertSignal) throws(RuleFailure) -> Incident {
        let id = StableID.derive("incident", signal.rule.name, signal.event.identity)
        let channel = try signal.rule.channel(signal.event.visibleFields)
        let notice = try notification(signal, .firing, incident: id)
        outbox.append(AddressedNotification(channel: channel, notification: notice))
        return Incident(id: id, since: signal.event.order.storedAt, channel: channel, notification: notice)
    }

    private func notification(
        _ signal: AlertSignal, _ state: Notification.Alert.State, incident: String
    ) throws(RuleFailure) -> Notification {
        try signal.rule.notification(
            about: signal.event, id: StableID.derive("notification", incident, state.rawValue),
            alert: Notification.Alert(state: state, incident: incident))
    }
}
