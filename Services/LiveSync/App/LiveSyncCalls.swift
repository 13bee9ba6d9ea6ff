package import EventBus
package import Events
package import JSON
package import LiveSyncCore
package import Logging

/// What clients ask of live sync: pages of a table (`sync.snapshot`), and whether they may follow a table's channel.
package struct LiveSyncCalls: Sendable {
    private let sources: [String: any Source]
    private let access: AccessPolicy
    private let position: @Sendable () async throws -> StreamPosition
    private let logger: Logger

    /// - Parameter position: where the stream of the tables' channels is now.
    package init(
        sources: [any Source], access: AccessPolicy, logger: Logger,
        position: @escaping @Sendable () async throws -> StreamPosition
    ) {
        self.sources = Dictionary(sources.map { ($0.schema, $0) }, uniquingKeysWith: { first, _ in first })
        self.access = access
        self.position = position
        self.logger = logger
    }

    package func register(on service: MicroService) {
        service.rpc("sync.snapshot") { try await snapshot($0) }
        service.hook(.subscribe, namespace: "table") { try await subscribe($0) }
    }

    // MARK: sync.snapshot

    package func snapshot(_ call: RPCRequest) async throws -> JSONValue {
        let request = try request(call.parameters)
        let (source, table) = try find(request.model)
        let allowed: [RowFilter]?
        switch access.decide(model: request.model, user: call.caller.user, roles: call.caller.roles) {
        case .everything: allowed = nil
        case .rows(let conditions): allowed = conditions
        case .nothing: throw RPCError(403, "you may not read the table \(request.model)")
        }
        // Before the rows: what they do not hold yet is published after this position.
        let position = try await available { try await self.position() }
        let page: SnapshotPage
        do {
            page = try await source.snapshot(request, table: table, access: allowed)
        } catch let problem as RequestProblem {
            throw RPCError(400, problem.description)
        } catch let error as SourceError {
            throw refusal(error, model: request.model)
        }
        return LiveSyncCalls.reply(page, model: request.model, position: position)
    }

    private func request(_ parameters: JSONValue) throws -> SnapshotRequest {
        do {
            return try SnapshotRequest(parameters: parameters)
        } catch {
            throw RPCError(400, error.description)
        }
    }

    /// A change with a `transaction` below `xmin` is in the rows already. SQLite commits one transaction at a time, so none is
    /// ever in between: `xmin` and `xmax` are the same.
    private static func reply(_ page: SnapshotPage, model: String, position: StreamPosition) -> JSONValue {
        let (next, _) = page.lastChange.addingReportingOverflow(1)
        var reply: JSONObject = [
            "table": .string(model),
            "key": .array(page.key.map(JSONValue.string)),
            "rows": .array(page.rows.map(JSONValue.object)),
            "next": page.next ?? .null,
            "position": [
                "epoch": .string(position.epoch), "offset": .integer(Int64(clamping: position.offset)),
            ],
            "snapshot": [
                "xmin": .string(String(next)), "xmax": .string(String(next)), "xip": [],
                "seq": .integer(Int64(clamping: page.lastChange)),
            ],
        ]
        if !page.omissions.isEmpty {
            reply["omitted"] = .array(
                page.omissions.map { ["key": .object($0.key), "columns": .array($0.columns.map(JSONValue.string))] })
        }
        return .object(reply)
    }

    // MARK: Following

    package func subscribe(_ call: RPCRequest) async throws -> JSONValue {
        guard let channel = call.parameters["channel"]?.stringValue.flatMap({ try? ChannelName($0) }),
            channel.namespace == "table"
        else { throw RPCError(400, "channel is not the name of a table's channel") }
        let (source, table) = try find(channel.name)
        switch access.decide(model: channel.name, user: call.caller.user, roles: call.caller.roles) {
        case .everything: break
        case .rows:
            throw RPCError(
                403,
                "you may read some rows of \(channel.name) only, and its channel carries all of them; read them with sync.snapshot"
            )
        case .nothing: throw RPCError(403, "you may not follow the table \(channel.name)")
        }
        do {
            guard try await source.follows(table: table) else {
                throw RPCError(404, "the table \(channel.name) is not followed")
            }
        } catch let error as SourceError {
            throw refusal(error, model: channel.name)
        }
        return [:]
    }

    // MARK: Shared

    private func find(_ model: String) throws -> (source: any Source, table: String) {
        guard let dot = model.firstIndex(of: "."), let source = sources[String(model[..<dot])] else {
            throw RPCError(404, "the table \(model) is not followed")
        }
        return (source, String(model[model.index(after: dot)...]))
    }

    private func refusal(_ error: SourceError, model: String) -> RPCError {
        // The message names files, which are nobody's business but the operator's.
        if error.code == .missing || error.code == .unsupported {
            return RPCError(404, "the table \(model) is not followed")
        }
        logger.warning(
            "a table could not be read for a client", metadata: ["table": "\(model)", "reason": "\(error)"])
        return RPCError(503, "the table \(model) cannot be read at the moment; try again")
    }

    private func available<Value>(_ operation: () async throws -> Value) async throws -> Value {
        do {
            return try await operation()
        } catch let error as BusError {
            throw RPCError(503, "the stream of changes cannot be asked at the moment (\(error.code)); try again")
        }
    }
}
