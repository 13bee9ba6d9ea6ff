internal import CommandLineCore
internal import Events
internal import Foundation
internal import Identity
internal import JSON
internal import ServiceKit

/// Runs the programs of a plan until somebody stops it: one loop over everything that happens to them.
struct DevelopmentRun {
    let plan: DevelopmentPlan
    let folder: DataFolder
    let isJSON: Bool

    func untilStopped() async throws {
        let interruption = Interruption()
        let log = DevelopmentLog(
            programs: ["apus", "nats"] + plan.services.map(\.label), toStandardError: isJSON)
        for note in plan.notes { log.tell(note) }
        // Programs start again at most twice a second, so this is never full.
        let (events, continuation) = AsyncStream<DevelopmentEvent>.makeStream(bufferingPolicy: .bufferingOldest(4096))
        defer { folder.removeSession() }
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { for await _ in interruption.signals { continuation.yield(.interrupted) } }
            var supervisor = DevelopmentSupervisor(
                plan: plan, log: log, events: continuation,
                onChange: { [self] session in
                    try folder.write(session)
                }, onFirstReady: { [self] in welcome() })
            defer { group.cancelAll() }
            try await supervisor.begin(&group)
            for await event in events {
                guard try await supervisor.handle(event, &group) else { return }
            }
        }
    }

    private func welcome() {
        let console = Console.standard
        let logins = [("as user 42", "42", [String]()), ("as an admin", "1", ["admin"])].map { title, user, roles in
            Welcome.Login(title: title, token: plan.tokenSecret.map { token(user: user, roles: roles, secret: $0) })
        }
        guard !isJSON else {
            console.line([
                "event": "ready", "page": .string(plan.page), "nats_url": .string(plan.natsURL),
                "configuration": .string(plan.configurationPath),
                "logins": .array(
                    zip(["42", "1"], logins).map { user, login in
                        ["user": .string(user), "token": login.token.map { .string($0) } ?? .null]
                    }),
            ])
            return
        }
        let isUsual = DataFolder(path: DataFolder.usualPath).configurationPath == plan.configurationPath
        let welcome = Welcome(
            page: plan.page, logins: logins, program: CommandLine.arguments[0], samplePath: folder.samplePath,
            databasePath: folder.databasePath, configurationPath: isUsual ? nil : plan.configurationPath)
        for line in welcome.lines(console.styler) { console.line(line) }
    }

    private func token(user: String, roles: [String], secret: String) -> String {
        let now = Timestamp.now
        return TokenIssuer(secret: secret).issue(
            user: user, roles: roles, expiresAt: now.advanced(by: .seconds(7 * 86_400)), issuedAt: now)
    }
}

/// The common log of all programs.
struct DevelopmentLog: Sendable {
    private let prefix: LogPrefix
    private let toStandardError: Bool

    init(programs: [String], toStandardError: Bool) {
        prefix = LogPrefix(
            programs: programs, styler: toStandardError ? Styler(isEnabled: false) : Console.standard.styler)
        self.toStandardError = toStandardError
    }

    func line(_ text: String, of program: String) {
        let line = prefix.line(text, of: program)
        if toStandardError { Console.standard.note(line) } else { Console.standard.line(line) }
    }

    /// Something that `apus dev` itself has to say.
    func tell(_ text: String) { line(text, of: "apus") }
}
