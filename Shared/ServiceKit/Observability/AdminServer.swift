internal import Hummingbird
internal import JSON
internal import Logging
internal import NIOCore
internal import ServiceLifecycle

/// A service's own small HTTP server for operators: `/health` (the process lives), `/ready` (it can do its work) and
/// `/metrics` (Prometheus).
struct AdminServer: Service {
    let address: ListenAddress
    let readiness: Readiness
    let registry: PrometheusRegistry
    let startup: StartupAnnouncement
    let logger: Logger

    func run() async throws {
        let router = Router()
        router.get("health") { _, _ in AdminServer.json(.ok, ["status": "ok"]) }
        router.get("ready") { _, _ in
            let isReady = readiness.isReady
            let conditions = readiness.all.sorted { $0.key < $1.key }.map { ($0.key, JSONValue.bool($0.value)) }
            return AdminServer.json(
                isReady ? .ok : .serviceUnavailable,
                ["ready": .bool(isReady), "conditions": .object(JSONObject(conditions))])
        }
        router.get("metrics") { _, _ in
            Response(
                status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
                body: ResponseBody(byteBuffer: ByteBuffer(string: registry.exposition())))
        }
        var quiet = logger
        quiet.logLevel = .error
        let application = Application(
            router: router,
            configuration: ApplicationConfiguration(address: .hostname(address.host, port: address.port)),
            onServerRunning: { channel in
                let port = channel.localAddress?.port ?? address.port
                startup.tell("admin", ListenAddress(host: address.host, port: port).description)
            }, logger: quiet)
        do {
            try await application.run()
        } catch let error as IOError {
            throw ListenFailure(key: "admin.listen", address: address, reason: "\(error)")
        }
    }

    private static func json(_ status: HTTPResponse.Status, _ value: JSONValue) -> Response {
        Response(
            status: status, headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: value.serialized())))
    }
}

/// A server cannot listen where it was told to.
public struct ListenFailure: Error, CustomStringConvertible {
    public let description: String

    public init(key: String, address: ListenAddress, reason: String) {
        description = "cannot listen on \(address): \(reason); set \(key) to a free address"
    }
}
