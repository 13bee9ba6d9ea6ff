public import EventBus
public import EventBusNATS
public import Events
public import Logging

/// What a service is built with.
public struct ServiceContext: Sendable {
    public let name: String
    public let version: String
    public let bus: any EventBus
    /// How the bus reaches NATS, for a service that makes a connection of its own; nil if the bus is none of NATS.
    public let nats: NATSConfiguration?
    public let subjects: Subjects
    public let logger: Logger
    public let readiness: Readiness
    /// How long a drain may take.
    public let shutdownTimeout: Duration
    /// Where a service that listens tells its address.
    public let startup: StartupAnnouncement

    public init(
        name: String, version: String = apusVersion, bus: any EventBus, subjects: Subjects = .standard,
        logger: Logger, readiness: Readiness = Readiness(), shutdownTimeout: Duration = .seconds(30)
    ) {
        self.name = name
        self.version = version
        self.bus = bus
        nats = nil
        self.subjects = subjects
        self.logger = logger
        self.readiness = readiness
        self.shutdownTimeout = shutdownTimeout
        startup = StartupAnnouncement(expecting: [], logger: logger)
    }

    init(
        name: String, bus: any EventBus, nats: NATSConfiguration, common: CommonSettings, logger: Logger,
        readiness: Readiness,
        startup: StartupAnnouncement
    ) {
        self.name = name
        version = apusVersion
        self.bus = bus
        self.nats = nats
        subjects = common.subjects
        self.logger = logger
        self.readiness = readiness
        shutdownTimeout = common.shutdownTimeout
        self.startup = startup
    }

    /// Runs `operation` until it succeeds: at the start there may be no server yet, or the stream is another service's to
    /// make. Backs off from 0.2 s to 5 s while the error is retryable, and tells so once.
    /// - Throws: an error that no waiting helps against; `CancellationError` when the task is cancelled.
    public func untilAvailable<Value: Sendable>(
        _ what: String, _ operation: @Sendable () async throws -> Value
    ) async throws -> Value {
        var delay = Duration.milliseconds(200)
        var isTold = false
        while true {
            do {
                return try await operation()
            } catch let error as BusError where error.isRetryable {
                if !isTold {
                    logger.warning("waiting for the bus", metadata: ["for": "\(what)", "error": "\(error)"])
                    isTold = true
                }
            }
            try await Task.sleep(for: delay)
            delay = min(delay * 2, .seconds(5))
        }
    }
}

/// The version of this release of Apus.
public let apusVersion = "0.1.0"
