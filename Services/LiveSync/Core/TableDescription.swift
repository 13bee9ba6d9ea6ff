/// What is known of an ordinary SQLite table: enough to write its triggers and to read its rows page by page.
package struct TableDescription: Sendable, Hashable {
    package struct Column: Sendable, Hashable {
        package var name: String
        package var affinity: Affinity
        /// Computed from other columns. Nothing can be assigned to it, so `UPDATE OF` never names it.
        package var isGenerated: Bool

        package init(name: String, affinity: Affinity = .none, isGenerated: Bool = false) {
            self.name = name
            self.affinity = affinity
            self.isGenerated = isGenerated
        }
    }

    /// A unique constraint or index: an insert or update with `OR REPLACE` silently removes the rows that stand in its way.
    package struct UniqueIndex: Sendable, Hashable {
        package struct Term: Sendable, Hashable {
            /// A quoted column, or an expression in which columns stand without a table's name.
            package var expression: String
            package var collation: String
            /// The column that the term is; nil for an expression.
            package var column: String?

            package init(column: String, collation: String = "BINARY") {
                expression = SQLText.identifier(column)
                self.collation = collation
                self.column = column
            }

            package init(expression: String, collation: String = "BINARY") {
                self.expression = expression
                self.collation = collation
            }
        }

        package var terms: [Term]
        /// Of a partial index: which rows it holds, with columns without a table's name.
        package var predicate: String?

        package init(terms: [Term], predicate: String? = nil) {
            self.terms = terms
            self.predicate = predicate
        }
    }

    /// What tells any two rows apart, never null: how rows are looked up and pages are cut.
    package enum Identity: Sendable, Hashable {
        /// An `INTEGER PRIMARY KEY`, or the primary key of a table `WITHOUT ROWID`.
        case columns([String])
        /// The row's hidden number, by the one of its three names that no column bears.
        case rowID(String)
    }

    package var name: String
    package var columns: [Column]
    /// The declared primary key; empty if there is none.
    package var primaryKey: [String]
    package var identity: Identity
    package var uniqueIndexes: [UniqueIndex]

    package init(
        name: String, columns: [Column], primaryKey: [String], identity: Identity, uniqueIndexes: [UniqueIndex] = []
    ) {
        self.name = name
        self.columns = columns
        self.primaryKey = primaryKey
        self.identity = identity
        self.uniqueIndexes = uniqueIndexes
    }

    package func column(_ name: String) -> Column? { columns.first { $0.name == name } }

    /// The columns whose values make up ``Identity``.
    package var identityColumns: [String] {
        switch identity {
        case .columns(let columns): columns
        case .rowID(let name): [name]
        }
    }

    /// The names of the members that a row's key has. A table without a primary key is keyed by its row number.
    package var keyColumns: [String] { primaryKey.isEmpty ? identityColumns : primaryKey }
}

/// What a column's declared type makes of values (https://sqlite.org/datatype3.html, section 3.1).
package enum Affinity: Sendable, Hashable {
    case text
    case numeric
    case none

    package init(declaredType: String) {
        let type = declaredType.uppercased()
        self =
            if type.contains("INT") {
                .numeric
            } else if ["CHAR", "CLOB", "TEXT"].contains(where: { type.contains($0) }) {
                .text
            } else if type.isEmpty || type.contains("BLOB") {
                .none
            } else {
                .numeric
            }
    }
}
