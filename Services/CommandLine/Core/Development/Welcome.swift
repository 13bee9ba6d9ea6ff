/// What `apus dev` prints once everything runs.
public struct Welcome: Sendable, Equatable {
    public struct Login: Sendable, Equatable {
        public let title: String
        public let token: String?

        public init(title: String, token: String?) {
            self.title = title
            self.token = token
        }
    }

    /// `http://HOST:PORT`.
    public var page: String
    public var logins: [Login]
    /// How this program is called from the folder where it runs.
    public var program: String
    public var samplePath: String
    public var databasePath: String
    /// What other commands need to find this system; nil when they find it by themselves.
    public var configurationPath: String?

    public init(
        page: String, logins: [Login], program: String, samplePath: String, databasePath: String,
        configurationPath: String?
    ) {
        self.page = page
        self.logins = logins
        self.program = program
        self.samplePath = samplePath
        self.databasePath = databasePath
        self.configurationPath = configurationPath
    }

    public func address(of login: Login) -> String { login.token.map { "\(page)/?token=\($0)" } ?? "\(page)/" }

    public func lines(_ styler: Styler) -> [String] {
        let columns = logins.reduce(0) { max($0, TerminalText.width($1.title)) }
        var lines = ["", styler("Everything runs. The page:", .bold, .green), ""]
        for login in logins {
            lines.append("  \(TerminalText.padded(login.title, to: columns))  \(styler(address(of: login), .cyan))")
        }
        lines += [
            "", "To see it move, in another terminal:", "",
            "  \(call("event")) order.status_changed '{\"order_id\": 1001, \"user_id\": \"42\", \"status\": \"shipped\"}'",
            "  \(call("event")) inventory.changed '{\"product_id\": \"P-7\", \"quantity\": 3, \"threshold\": 5}'",
            "  \(call("task run")) dataset.summarize --file path=\(samplePath) --user 42",
            "  sqlite3 \(databasePath) 'UPDATE products SET quantity = quantity - 1 WHERE id = 1'",
            "", "Ctrl-C stops it all.", "",
        ]
        return lines
    }

    /// `apus event`, with what it needs to find this system.
    private func call(_ subcommand: String) -> String {
        "\(program) \(subcommand)" + (configurationPath.map { " --config \($0)" } ?? "")
    }
}
