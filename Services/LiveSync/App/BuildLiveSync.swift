internal import EventBus
internal import LiveSyncCore
internal import Logging
package import ServiceKit
package import ServiceLifecycle

/// Wires live sync: one service per source, and the calls.
package func buildLiveSync(
    _ configuration: LiveSyncConfiguration, _ context: ServiceContext
) async throws -> [any Service] {
    let calls = MicroService(
        name: "apus-livesync", version: context.version, description: "database changes to channels, and snapshots",
        bus: context.bus, subjects: context.subjects, logger: context.logger)
    var sources: [any Source] = []
    var services: [any Service] = []
    for settings in configuration.sources {
        let status = SourceStatus(schema: settings.schema, logger: context.logger, readiness: context.readiness)
        let source = SQLiteSource(
            path: settings.path, schema: settings.schema, tables: settings.tables,
            pollInterval: configuration.pollInterval, valueLimit: configuration.messageBytes,
            pageBytes: configuration.messageBytes, status: status)
        let publisher = ChangePublisher(
            bus: context.bus, subjects: context.subjects, schema: settings.schema,
            maximumBytes: configuration.messageBytes, logger: context.logger)
        sources.append(source)
        services.append(
            SourceService(source: source, publisher: publisher, status: status, logger: context.logger))
    }
    if sources.isEmpty {
        context.logger.warning("livesync.sources is empty: there is nothing to follow")
        context.readiness.set("sources", true)
    }
    let stream = TableStream(bus: context.bus, subjects: context.subjects)
    LiveSyncCalls(
        sources: sources, access: configuration.access, logger: context.logger,
        position: { try await stream.position() }
    ).register(on: calls)
    return [MicroServiceRunner(calls)] + services
}
