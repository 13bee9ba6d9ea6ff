import Foundation

/// The programs under test, where the build put them.
enum ApusProgram: String, CaseIterable, Sendable {
    case gateway = "apus-gateway"
    case notifier = "apus-notifier"
    case worker = "apus-worker"
    case livesync = "apus-livesync"
    case commandLine = "apus"

    static let services: [ApusProgram] = [.gateway, .notifier, .worker, .livesync]

    /// The test's own program lies beside them.
    static let folder = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()

    var url: URL { Self.folder.appending(path: rawValue) }

    /// As scenarios call it.
    var shortName: String {
        self == .commandLine ? rawValue : String(rawValue.dropFirst("apus-".count))
    }
}

/// The project's own folder.
let projectFolder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()
