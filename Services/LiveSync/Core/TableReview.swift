/// What is to be done about a table that a source follows, after its database's schema changed or at the start.
package enum TableReview {
    /// What the database remembers of the table.
    package enum Known: String, Sendable {
        case followed
        case missing
    }

    package enum Triggers: Sendable {
        /// As they would be written now, and the last of the table's.
        case current
        /// Some are there, for other columns or before other triggers.
        case outdated
        case absent
    }

    package enum Action: Sendable, Hashable {
        case nothing
        /// Write the triggers anew.
        case install(Telling)
        /// Record that it is gone, and with it every row.
        case recordGone
        case rememberMissing
    }

    /// What its followers must be told besides what the triggers recorded.
    package enum Telling: Sendable, Hashable {
        /// Nothing: nobody followed it.
        case nothing
        /// Every row as created: it appeared while it was waited for.
        case rows
        /// That every row is gone, then every row as created: changes may have gone unrecorded.
        case anew
        /// The last unpublished change of each row as the row is now.
        case refresh
    }

    /// - Parameter isAwaited: whether a table that is not known has come into being while it was followed.
    package static func action(
        isPresent: Bool, known: Known?, triggers: Triggers, isAwaited: Bool
    ) -> Action {
        switch (isPresent, known) {
        case (false, .followed): .recordGone
        case (false, .missing): .nothing
        case (false, nil): .rememberMissing
        case (true, .missing): .install(.rows)
        case (true, nil): .install(isAwaited ? .rows : .nothing)
        case (true, .followed):
            switch triggers {
            case .current: .nothing
            case .outdated: .install(.refresh)
            case .absent: .install(.anew)
            }
        }
    }
}
