internal import CoreMetrics
internal import EventBus
internal import EventBusNATS
internal import Events
internal import Foundation
internal import Logging
public import ServiceLifecycle
internal import UnixSignals

/// A service's whole life as a program: command line, configuration, logging, metrics, bus, its parts, drain, exit status.
///
/// Exit status: 0 after SIGTERM or SIGINT, 64 for wrong usage, 78 for a wrong configuration (told whole, before anything
/// starts), 1 if a part failed in a way that it could not survive.
public struct ServiceProgram<Configuration: ServiceConfiguration>: Sendable {
    private let name: String
    private let summary: String
    private let build: @Sendable (Configuration, ServiceContext) async throws -> [any Service]

    /// - Parameter build: makes the service's parts, in dependency order: they shut down in reverse. It must not wait
    ///   for the bus, which may be away at the start.
    public init(
        name: String, summary: String,
        build: @escaping @Sendable (Configuration, ServiceContext) async throws -> [any Service]
    ) {
        self.name = name
        self.summary = summary
        self.build = build
    }

    /// Runs the program with the process's arguments and environment, and ends the process.
    public func main() async -> Never {
        // A client that goes away while it is written to is an error of that write, not the end of the process.
        signal(SIGPIPE, SIG_IGN)
        let definitions = SettingDefinition.common + Configuration.definitions
        let request: CommandLineRequest
        do {
            request = try CommandLineParser(definitions: definitions).parse(Array(CommandLine.arguments.dropFirst()))
        } catch {
            StandardError.write("\(name): \(error)\nTry: \(name) --help")
            exit(64)
        }
        switch request {
        case .help:
            print(SettingsHelp(program: name, summary: summary, definitions: definitions).text)
            exit(0)
        case .version:
            print("\(name) \(apusVersion)")
            exit(0)
        case .run(let flags, let file):
            let (common, configuration) = readConfiguration(definitions, flags, file)
            exit(await run(common, configuration))
        }
    }

    private func readConfiguration(
        _ definitions: [SettingDefinition], _ flags: [String: String], _ file: String?
    ) -> (CommonSettings, Configuration) {
        var problems: [SettingProblem]
        do throws(SettingsLoader.Invalid) {
            var reader = try SettingsLoader(definitions: definitions).reader(
                flags: flags, environment: ProcessInfo.processInfo.environment, configurationFile: file)
            let common = CommonSettings(from: &reader)
            let configuration = Configuration(from: &reader)
            problems = reader.problems
            if problems.isEmpty { return (common, configuration) }
        } catch {
            problems = error.problems
        }
        StandardError.write("\(name): the configuration cannot be used:")
        for problem in problems { StandardError.write("  \(problem)") }
        exit(78)
    }

    private func run(_ common: CommonSettings, _ configuration: Configuration) async -> Int32 {
        LoggingSystem.bootstrap { label in
            ServiceLogHandler(label: label, format: common.logFormat, level: common.logLevel)
        }
        let registry = PrometheusRegistry(help: Configuration.metrics.merging(BusConnectionService.metrics) { $1 })
        MetricsSystem.bootstrap(PrometheusMetricsFactory(registry: registry))
        let logger = Logger(label: name)
        let readiness = Readiness()
        let startup = StartupAnnouncement(expecting: ["admin"], logger: logger)
        do {
            var nats = NATSConfiguration(
                servers: common.servers, credentials: common.credentials, tls: common.tls, name: name)
            nats.makesManyRequests = Configuration.makesManyRequests
            let bus = try connect(nats, logger)
            let context = ServiceContext(
                name: name, bus: bus, nats: nats, common: common, logger: logger, readiness: readiness,
                startup: startup)
            let parts = try await build(configuration, context)
            let connection = BusConnectionService(
                bus: bus, readiness: readiness, closeTimeout: .seconds(2), logger: logger)
            let admin = AdminServer(
                address: common.adminAddress, readiness: readiness, registry: registry, startup: startup,
                logger: logger)
            try await group([connection, admin] + parts, common, logger).run()
            logger.notice("stopped")
            return 0
        } catch let unusable as UnusableBus {
            StandardError.write("\(name): the configuration cannot be used:\n  nats: \(unusable.reason)")
            return 78
        } catch {
            logger.critical("cannot go on", metadata: ["error": "\(error)"])
            return 1
        }
    }

    /// Why the bus cannot even be tried: a file that is none of the kind, a malformed address.
    private struct UnusableBus: Error {
        let reason: String
    }

    private func connect(_ nats: NATSConfiguration, _ logger: Logger) throws -> NATSEventBus {
        do throws(BusError) {
            return try NATSEventBus.connect(nats, logger: logger)
        } catch {
            guard error.code == .invalidArgument else { throw error }
            throw UnusableBus(reason: error.message)
        }
    }

    private func group(_ services: [any Service], _ common: CommonSettings, _ logger: Logger) -> ServiceGroup {
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .error)
        var configuration = ServiceGroupConfiguration(
            services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet)
        configuration.maximumGracefulShutdownDuration = common.shutdownTimeout
        configuration.maximumCancellationDuration = .seconds(5)
        return ServiceGroup(configuration: configuration)
    }
}
