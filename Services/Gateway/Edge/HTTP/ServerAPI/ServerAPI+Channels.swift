internal import EventBus
internal import Events
internal import GatewaySession
internal import GatewayWire
internal import JSON

/// What there is: `presence`, `presence_stats`, `history`, `history_remove`, `channels`, `info`.
extension ServerAPI {
    // MARK: Presence

    func presence(_ parameters: APIParameters) throws(ClientFailure) -> JSONValue {
        let members = services.presence.members(of: try channelWithPresence(parameters))
        return ["presence": .object(JSONObject(members.map { ($0.client, ServerAPI.info($0)) }))]
    }

    func presenceStatistics(_ parameters: APIParameters) throws(ClientFailure) -> JSONValue {
        let statistics = services.presence.statistics(of: try channelWithPresence(parameters))
        return ["num_clients": .integer(Int64(statistics.clients)), "num_users": .integer(Int64(statistics.users))]
    }

    private func channelWithPresence(_ parameters: APIParameters) throws(ClientFailure) -> ChannelName {
        let channel = try parameters.channel("channel", in: services.policy)
        guard channel.namespace.presence else { throw .notAvailable }
        return channel.name
    }

    static func info(_ info: ClientInfo) -> JSONValue {
        var members: JSONObject = ["user": .string(info.user), "client": .string(info.client)]
        members["conn_info"] = info.info
        return .object(members)
    }

    // MARK: History

    func history(_ parameters: APIParameters) async throws(ClientFailure) -> JSONValue {
        let channel = try parameters.channel("channel", in: services.policy)
        guard channel.namespace.history != nil else { throw .notAvailable }
        let command = HistoryCommand(
            channel: channel.name.description, limit: Int(clamping: try parameters.integer("limit") ?? 0),
            since: try parameters.position("since"), isReversed: try parameters.boolean("reverse") ?? false)
        let history = try await look(at: channel.name)
        return [
            "publications": .array(
                try HistoryPage(command).publications(history).map { (publication) in
                    var members: JSONObject = [
                        "data": (try? JSONValue(parsing: publication.payload)) ?? .null,
                        "offset": .integer(Int64(clamping: publication.offset ?? 0)),
                    ]
                    members["info"] = publication.publisher.map { ServerAPI.info($0) }
                    let tags = publication.allTags
                    if !tags.isEmpty { members["tags"] = .object(JSONObject(tags.map { ($0.key, .string($0.value)) })) }
                    return .object(members)
                }),
            "offset": .integer(Int64(clamping: history.position.offset)), "epoch": .string(history.position.epoch),
        ]
    }

    private func look(at channel: ChannelName) async throws(ClientFailure) -> Recovery {
        do {
            return try await services.hub.history(of: channel, clock: services.clock)
        } catch {
            throw .unavailable("the history cannot be read now; try again")
        }
    }

    func removeHistory(_ parameters: APIParameters) async throws(ClientFailure) -> JSONValue {
        let channel = try parameters.channel("channel", in: services.policy)
        guard channel.namespace.history != nil else { throw .notAvailable }
        try await services.backend.removeHistory(of: channel.name)
        return [:]
    }

    // MARK: All gateways

    func channels(_ parameters: APIParameters) async throws(ClientFailure) -> JSONValue {
        let pattern = try parameters.text("pattern")
        if let pattern, ChannelPattern(pattern) == nil {
            throw .badRequest(
                "pattern has at most \(ChannelPattern.maximumLength) bytes, with *, ?, [abc] and {a,b} for wildcards")
        }
        var counts: [String: Int] = [:]
        for case .channels(let channels) in await services.control.ask(.channels(pattern: pattern)).values {
            counts.merge(channels) { $0 + $1 }
        }
        let members = counts.sorted { $0.key < $1.key }.map { channel -> (String, JSONValue) in
            (channel.key, ["num_clients": .integer(Int64(channel.value))])
        }
        return ["channels": .object(JSONObject(members))]
    }

    func info() async -> JSONValue {
        let answers = await services.control.ask(.figures)
        var nodes: [JSONValue] = []
        for (node, answer) in answers.sorted(by: { $0.key < $1.key }) {
            guard case .figures(let figures) = answer else { continue }
            nodes.append([
                "uid": .string(node), "name": .string(figures.name), "version": .string(figures.version),
                "num_clients": .integer(Int64(figures.clients)), "num_users": .integer(Int64(figures.users)),
                "num_subs": .integer(Int64(figures.subscriptions)),
                "num_channels": .integer(Int64(figures.channels)), "uptime": .integer(Int64(figures.uptimeSeconds)),
            ])
        }
        return ["nodes": .array(nodes)]
    }
}
