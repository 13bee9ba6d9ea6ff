internal import Foundation

/// Finds programs: beside this one, then where the shell would.
struct ExecutableSearch: Sendable {
    let folders: [String]

    /// - Parameter siblings: whether to look beside this executable first.
    init(siblings: Bool, environment: [String: String] = ProcessInfo.processInfo.environment) {
        let path = (environment["PATH"] ?? "").split(separator: ":").map(String.init)
        // Servers stand where an ordinary user's PATH does not look.
        let usual = ["/usr/local/bin", "/usr/bin", "/usr/local/sbin", "/usr/sbin"]
        folders = (siblings ? [ExecutableSearch.ownFolder] : []) + path + usual
    }

    /// This program's own file.
    static var ownPath: String {
        (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
    }

    private static var ownFolder: String { URL(fileURLWithPath: ownPath).deletingLastPathComponent().path }

    func path(of program: String) -> String? {
        folders.lazy.map { "\($0)/\(program)" }.first { access($0, X_OK) == 0 && !isFolder($0) }
    }

    private func isFolder(_ path: String) -> Bool {
        var isFolder: ObjCBool = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue
    }
}
