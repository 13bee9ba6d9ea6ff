package import EventBus
internal import JSON

/// What administrators can ask of the alerts.
package struct AlertCalls: Sendable {
    let index: AlertIndex

    package func register(on service: MicroService) {
        service.rpc("alerts.list") { try list($0) }
    }

    func list(_ request: RPCRequest) throws -> JSONValue {
        guard request.caller.has(role: "admin") else { throw RPCError(403, "listing alerts takes the role admin") }
        guard let alerts = index.firing else { throw RPCError(503, "the alerts are being read; try again") }
        return .object(["alerts": .array(alerts)])
    }
}
