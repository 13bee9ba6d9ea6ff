/// Which lines of nats-server are worth showing among those of the services: all but its usual announcements.
public enum ServerLogFilter {
    public static func shows(_ line: String) -> Bool { !line.contains(" [INF] ") && !line.isEmpty }
}
