import Foundation

/// The programs under test, where the build put them.
enum ApusProgram: String, CaseIterable, Sendable {
    case gateway = "apus-gateway"
    /// Another process of the same program, for what only several gateways show.
    case secondGateway = "apus-gateway2"
    case notifier = "apus-notifier"
    case worker = "apus-worker"
    case livesync = "apus-livesync"
    case commandLine = "apus"

    /// One of each, which is what a system has unless a test says otherwise.
    static let services: [ApusProgram] = [.gateway, .notifier, .worker, .livesync]
    /// What can be started, ended and waited for.
    static let controllable = services + [.secondGateway]

    var isGateway: Bool { self == .gateway || self == .secondGateway }

    /// The test's own program lies beside them.
    static let folder = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()

    var url: URL { Self.folder.appending(path: self == .secondGateway ? Self.gateway.rawValue : rawValue) }

    /// As scenarios call it.
    var shortName: String {
        self == .commandLine ? rawValue : String(rawValue.dropFirst("apus-".count))
    }
}

/// The project's own folder.
let projectFolder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()
