internal import JSON
package import NotifierCore
public import ServiceKit

/// The section `notifier` of the configuration.
public struct NotifierConfiguration: ServiceConfiguration {
    package var rules: RuleBook
    package var inboxLimits: Inbox.Limits

    public static let definitions = [
        SettingDefinition(
            "notifier.rules", .structure,
            "what to tell whom when an event comes: a list of rules, put by name over those that are built in "
                + "(order-status, low-inventory)"),
        SettingDefinition(
            "notifier.inbox.size", .integer, default: "200",
            "how many notifications a user's inbox keeps, 1 to 1000; older ones fall off"),
    ]

    public init(from settings: inout SettingsReader) {
        var reader = RuleReader()
        rules = RuleBook(rules: reader.rules(settings.structure("notifier.rules")))
        for problem in reader.problems { settings.report("notifier.rules\(problem.path)", problem.message) }
        inboxLimits = Inbox.Limits()
        if let size = settings.integer("notifier.inbox.size") {
            if (1...1000).contains(size) {
                inboxLimits.count = size
            } else {
                settings.report("notifier.inbox.size", "must be from 1 to 1000")
            }
        }
    }

    package init(rules: RuleBook, inboxLimits: Inbox.Limits = Inbox.Limits()) {
        self.rules = rules
        self.inboxLimits = inboxLimits
    }
}
