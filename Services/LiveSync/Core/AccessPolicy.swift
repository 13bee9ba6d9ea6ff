/// Who may read which tables: the rules of `livesync.access`.
///
/// A rule lets the roles that it names read a table; what several rules allow adds up. Role `admin` reads every table, and a table that no
/// rule names is read by nobody else. Two roles are built in: `anyone`, and `authenticated` for everybody with a user id.
package struct AccessPolicy: Sendable, Hashable {
    package struct Rule: Sendable, Hashable {
        /// A model such as `main.posts`, `main.*` for a source's tables, or `*`.
        package var table: String
        package var roles: [String]
        /// Narrows the rows; nil is all of them.
        package var rows: RowCondition?

        package init(table: String, roles: [String], rows: RowCondition? = nil) {
            self.table = table
            self.roles = roles
            self.rows = rows
        }

        fileprivate func names(_ model: String) -> Bool {
            table == "*" || table == model || table.hasSuffix(".*") && model.hasPrefix(table.dropLast())
        }

        fileprivate func includes(user: String?, roles held: [String]) -> Bool {
            roles.contains { $0 == "anyone" || $0 == "authenticated" && user != nil || held.contains($0) }
        }
    }

    package enum Decision: Sendable, Hashable {
        case everything
        /// The rows for which one of the conditions holds.
        case rows([RowFilter])
        case nothing
    }

    package static let administratorRole = "admin"

    package var rules: [Rule]

    package init(rules: [Rule] = []) { self.rules = rules }

    /// What the caller may read of a table.
    package func decide(model: String, user: String?, roles: [String]) -> Decision {
        if roles.contains(AccessPolicy.administratorRole) { return .everything }
        let matching = rules.filter { $0.names(model) && $0.includes(user: user, roles: roles) }
        guard !matching.isEmpty else { return .nothing }
        guard matching.allSatisfy({ $0.rows != nil }) else { return .everything }
        // A condition on the user holds for no row when there is no user.
        let conditions = matching.compactMap { $0.rows?.filter(user: user) }
        return conditions.isEmpty ? .nothing : .rows(conditions)
    }
}

/// A rule's `rows`: comparisons joined by `and`, each `<column> = user` (the caller's id), `<column> = 'text'` or
/// `<column> = 12`.
package struct RowCondition: Sendable, Hashable {
    private enum Operand: Hashable {
        case user
        case value(String)
    }

    private var comparisons: [(column: String, operand: Operand)]

    /// - Throws: ``RequestProblem``, for the operator.
    package init(parsing text: String) throws(RequestProblem) {
        var tokens = try RowConditionToken.split(text)[...]
        comparisons = []
        repeat {
            let problem = RequestProblem("rows is written column = user, column = 'text' or column = 12, joined by and")
            guard case .word(let column)? = tokens.popFirst(), tokens.popFirst() == .equals,
                let operand = tokens.popFirst()
            else { throw problem }
            switch operand {
            case .word("user"): comparisons.append((column, .user))
            case .word(let word) where Double(word)?.isFinite == true || word == "true" || word == "false":
                comparisons.append((column, .value(word)))
            case .text(let value): comparisons.append((column, .value(value)))
            case .word, .equals: throw problem
            }
            guard let next = tokens.popFirst() else { return }
            guard case .word(let word) = next, word.lowercased() == "and" else { throw problem }
        } while true
    }

    /// The condition for one caller; nil if it needs a user and there is none.
    func filter(user: String?) -> RowFilter? {
        var filter = RowFilter()
        for (column, operand) in comparisons {
            guard let value = if case .value(let value) = operand { value } else { user } else { return nil }
            filter.conditions.append(.init(column: column, comparison: .equal, values: [value]))
        }
        return filter
    }

    package static func == (left: RowCondition, right: RowCondition) -> Bool {
        left.comparisons.elementsEqual(right.comparisons) { $0 == $1 }
    }

    package func hash(into hasher: inout Hasher) {
        for (column, operand) in comparisons {
            hasher.combine(column)
            hasher.combine(operand)
        }
    }
}

private enum RowConditionToken: Hashable {
    case word(String)
    case text(String)
    case equals

    static func split(_ text: String) throws(RequestProblem) -> [RowConditionToken] {
        var tokens: [RowConditionToken] = []
        var rest = Substring(text)
        while let first = rest.first {
            switch first {
            case " ", "\t", "\n": rest.removeFirst()
            case "=":
                rest.removeFirst()
                tokens.append(.equals)
            case "'", "\"":
                rest.removeFirst()
                var value = ""
                while true {
                    guard let character = rest.popFirst() else { throw RequestProblem("rows has an open quote") }
                    if character != first {
                        value.append(character)
                    } else if rest.first == first {
                        rest.removeFirst()
                        value.append(first)
                    } else {
                        break
                    }
                }
                // As in SQL: single quotes hold a text, double quotes a column's name.
                tokens.append(first == "'" ? .text(value) : .word(value))
            default:
                let word = rest.prefix { !" \t\n='\"".contains($0) }
                rest = rest.dropFirst(word.count)
                tokens.append(.word(String(word)))
            }
        }
        return tokens
    }
}
