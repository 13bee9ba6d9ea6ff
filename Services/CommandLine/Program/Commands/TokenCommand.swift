internal import ArgumentParser
internal import CommandLineCore
internal import Events
internal import Foundation
internal import Identity
internal import JSON
internal import ServiceKit

struct TokenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token",
        abstract: "Prints a token for a user.",
        discussion: """
            A token is a JWT that the gateway takes wherever a protocol has its place for one: the connect command, \
            ?token=, the header `Authorization: Bearer`. It is signed with gateway.token.secret, which is taken from \
            --secret, APUS_GATEWAY_TOKEN_SECRET or the configuration file.

            Examples:
              apus token --user 42
              apus token --user 1 --role admin --role staff --ttl 30m
              curl -H "Authorization: Bearer $(apus token --user 42)" http://127.0.0.1:8080/events?channel=user:42
            """)

    @Option(help: ArgumentHelp("The user's id.", valueName: "id"))
    var user: String

    @Option(name: .customLong("role"), help: ArgumentHelp("A role of the user; may be repeated.", valueName: "role"))
    var roles: [String] = []

    @Option(help: ArgumentHelp("How long the token is good: 90s, 30m, 24h, 7d.", valueName: "time"))
    var ttl = "24h"

    @Option(
        help: ArgumentHelp("A JSON object that others see in presence, such as {\"name\":\"Ada\"}.", valueName: "json"))
    var info: String?

    @Option(
        help: ArgumentHelp(
            "The secret to sign with. Others on this machine can see it here: the environment is better.",
            valueName: "secret"))
    var secret: String?

    @OptionGroup var file: ConfigurationFileOption
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard HeaderArgument.isAllowed(user), user.utf8.count <= ChannelName.maximumNameLength else {
            throw ValidationError("--user takes 1 to \(ChannelName.maximumNameLength) bytes of text")
        }
        guard let duration = DurationText.parse(ttl), duration > .zero else {
            throw ValidationError("--ttl takes a time such as 90s, 30m, 24h or 7d, not \"\(ttl)\"")
        }
        if roles.contains(where: { !HeaderArgument.isAllowed($0) || $0.contains(",") }) {
            throw ValidationError("--role takes one role; repeat it for more")
        }
    }

    func run() async throws {
        try await reportingFailures {
            var flags: [String: String] = [:]
            flags["gateway.token.secret"] = secret
            let settings = try ToolSettings(flags: flags, configurationFile: file.path)
            guard let secret = settings.tokenSecret else {
                throw Failure(
                    "no secret to sign with: give --secret or APUS_GATEWAY_TOKEN_SECRET, or name the gateway's "
                        + "configuration file with --config")
            }
            let lifetime = DurationText.parse(ttl) ?? .seconds(86_400)
            let now = Timestamp.now
            let token = TokenIssuer(secret: secret).issue(
                user: user, roles: roles, info: try information(), expiresAt: now.advanced(by: lifetime), issuedAt: now)
            guard output.isJSON else { return Console.standard.line(token) }
            Console.standard.line([
                "token": .string(token), "user": .string(user), "roles": .array(roles.map { .string($0) }),
                "expires_at": .string(Timestamp(seconds: now.advanced(by: lifetime).seconds).description),
            ])
        }
    }

    private func information() throws -> JSONValue? {
        guard let info else { return nil }
        let value = try JSONArgument.parse(info, name: "--info")
        guard case .object = value else {
            throw Failure("--info takes a JSON object, not \(value.kindDescription)", exit: .usage)
        }
        return value
    }
}
