internal import JSON

/// The addresses that a service names in its start-up log line: `… started admin=127.0.0.1:41234 listen=127.0.0.1:8080`.
public struct StartupLine: Sendable, Equatable {
    public let admin: String
    public let listen: String?

    /// Reads the line in either log format; nil for every other line.
    public init?(_ line: String) {
        if line.hasPrefix("{") {
            guard let object = try? JSONValue(parsing: line), object["message"]?.stringValue == "started",
                let admin = object["admin"]?.stringValue
            else { return nil }
            self.admin = admin
            listen = object["listen"]?.stringValue
            return
        }
        let words = line.split(separator: " ")
        func value(_ key: String) -> String? {
            words.first { $0.hasPrefix(key + "=") }.map { String($0.dropFirst(key.count + 1)) }
        }
        guard words.contains("started"), let admin = value("admin"), admin.contains(":") else { return nil }
        self.admin = admin
        listen = value("listen")
    }
}
