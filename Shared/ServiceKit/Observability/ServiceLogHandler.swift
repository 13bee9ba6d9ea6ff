public import Events
internal import Foundation
internal import JSON
public import Logging
internal import Synchronization

/// Writes log lines to standard error, as text for people or as one JSON object a line for programs.
public struct ServiceLogHandler: LogHandler {
    public enum Format: String, Sendable, CaseIterable {
        case text
        case json
    }

    public var metadata: Logger.Metadata = [:]
    public var logLevel: Logger.Level
    private let label: String
    private let format: Format

    public init(label: String, format: Format, level: Logger.Level) {
        self.label = label
        self.format = format
        logLevel = level
    }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        let all = event.metadata.map { metadata.merging($0) { $1 } } ?? metadata
        let line =
            switch format {
            case .text: ServiceLogHandler.text(event.level, label, "\(event.message)", all, Timestamp.now)
            case .json: ServiceLogHandler.json(event.level, label, "\(event.message)", all, Timestamp.now)
            }
        StandardError.write(line)
    }

    static func text(
        _ level: Logger.Level, _ label: String, _ message: String, _ metadata: Logger.Metadata, _ now: Timestamp
    ) -> String {
        var line = "\(now) \(level.rawValue) \(label): \(escaped(message))"
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
            let text = escaped("\(value)")
            let needsQuotes = text.isEmpty || text.utf8.contains { $0 == 0x20 || $0 == UInt8(ascii: "\"") }
            line += " \(key)=" + (needsQuotes ? "\"\(text.replacing("\"", with: "\\\""))\"" : text)
        }
        return line
    }

    static func json(
        _ level: Logger.Level, _ label: String, _ message: String, _ metadata: Logger.Metadata, _ now: Timestamp
    ) -> String {
        var object: JSONObject = [
            "time": .string(now.description), "level": .string(level.rawValue), "service": .string(label),
            "message": .string(message),
        ]
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) where object[key] == nil {
            object[key] = .string("\(value)")
        }
        return JSONValue.object(object).description
    }

    /// A log line is one line: what came from outside cannot start another.
    private static func escaped(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }) else { return text }
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": escaped += "\\n"
            case "\r": escaped += "\\r"
            case "\t": escaped += "\\t"
            default:
                if scalar.value < 0x20 || scalar.value == 0x7F {
                    escaped += "\\x" + String(scalar.value, radix: 16)
                } else {
                    escaped.unicodeScalars.append(scalar)
                }
            }
        }
        return escaped
    }
}

/// Standard error, one whole line at a time.
enum StandardError {
    static func write(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { Foundation.write(2, $0.baseAddress, $0.count) }
            if count < 0 && errno != EINTR { return }
            written += max(0, count)
        }
    }
}

extension Timestamp {
    /// The present moment by the system's clock. For programs and their wiring; anything that decides takes a timestamp.
    public static var now: Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }
}
