package import Events
internal import JSON

/// All rules that hold, and what they make of an event.
package struct RuleBook: Sendable {
    package let rules: [Rule]

    package init(rules: [Rule]) { self.rules = rules }

    /// What is to be done about `event`. Depends on nothing else: the same for every delivery of it.
    package func decide(_ event: ReceivedEvent) -> Decision {
        var decision = Decision()
        let fields = event.visibleFields
        for rule in rules where rule.event.matches(event.event.type) {
            do throws(RuleFailure) {
                if let when = rule.when, !(try rule.holds(when, "when", fields)) { continue }
                decision.isMatched = true
                if rule.alert == nil {
                    let id = StableID.derive("notification", rule.name, event.identity)
                    decision.notices.append(
                        AddressedNotification(
                            channel: try rule.channel(fields), notification: try rule.notification(about: event, id: id)
                        ))
                } else {
                    decision.signals.append(try AlertSignal(rule: rule, event: event))
                }
            } catch {
                decision.failures.append(error)
            }
        }
        return decision
    }
}

/// What is to be done about an event.
package struct Decision: Sendable, Equatable {
    /// Whether the event was any rule's business.
    package var isMatched = false
    package var notices: [AddressedNotification] = []
    package var signals: [AlertSignal] = []
    /// The rules that could not handle it. What the others decided stands nevertheless.
    package var failures: [RuleFailure] = []
}

/// A notification and the channel that it goes to.
package struct AddressedNotification: Sendable, Equatable {
    package let channel: ChannelName
    package let notification: Notification

    package init(channel: ChannelName, notification: Notification) {
        self.channel = channel
        self.notification = notification
    }

    /// Whose inbox it goes to; nil where nobody's is meant.
    package var user: String? { channel.namespace == "user" ? channel.name : nil }
}
