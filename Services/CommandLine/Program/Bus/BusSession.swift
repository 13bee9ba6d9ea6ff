internal import CommandLineCore
internal import EventBus
internal import EventBusNATS
internal import Events
internal import JSON
internal import Logging

/// A connection to the bus for as long as one command takes.
struct BusSession: Sendable {
    let bus: any EventBus
    let subjects: Subjects
    let settings: ToolSettings
    /// What the server said first.
    let greeting: ServerGreeting

    /// How long a server may take to let us in.
    static let connectionTimeout = Duration.seconds(5)

    /// Connects, runs `body` and closes again.
    /// - Throws: ``ConnectionFailure`` soon if no server can be reached, instead of trying for ever as services do.
    static func run<Result>(
        _ options: BusOptions, _ body: (BusSession) async throws -> Result
    ) async throws -> Result {
        let settings = try options.settings()
        let greeting = try await firstGreeting(of: settings)
        let bus = try await connect(settings)
        let session = BusSession(bus: bus, subjects: settings.subjects, settings: settings, greeting: greeting)
        do {
            let result = try await body(session)
            await bus.close(timeout: .seconds(2))
            return result
        } catch {
            await bus.close(timeout: .seconds(2))
            throw session.explained(error)
        }
    }

    /// Asks every server at once; one that answers is enough.
    static func firstGreeting(of settings: ToolSettings) async throws -> ServerGreeting {
        let addresses = settings.servers.compactMap(ServerAddress.init)
        var problem: String?
        let greeting = await withTaskGroup(of: Result<ServerGreeting, any Error>.self) { group in
            for address in addresses {
                group.addTask {
                    do {
                        return .success(try await SocketProbe.greeting(of: address))
                    } catch {
                        return .failure(error)
                    }
                }
            }
            for await answer in group {
                switch answer {
                case .success(let greeting): return greeting as ServerGreeting?
                case .failure(let error):
                    if case .failed(let reason)? = error as? SocketProbe.Problem { problem = reason }
                }
            }
            return nil
        }
        if let greeting { return greeting }
        if let problem { throw ConnectionFailure.refused(servers: settings.servers, reason: problem) }
        throw ConnectionFailure.unreachable(servers: settings.servers, source: settings.serversSource)
    }

    private static func connect(_ settings: ToolSettings) async throws -> any EventBus {
        var logger = Logger(label: "apus") { _ in SwiftLogNoOpLogHandler() }
        logger.logLevel = .critical
        let bus = try NATSEventBus.connect(
            NATSConfiguration(
                servers: settings.servers, credentials: settings.credentials, tls: settings.tls, name: "apus"),
            logger: logger)
        let (events, refusals) = (bus.connectionEvents(), bus.refusals())
        let problem = await withTaskGroup(of: String?.self) { group in
            group.addTask {
                if bus.isConnected { return nil }
                for await event in events where event == .connected { return nil }
                return "interrupted"
            }
            group.addTask {
                for await refusal in refusals { return refusal.message }
                return "interrupted"
            }
            group.addTask {
                try? await Task.sleep(for: connectionTimeout)
                let limit = DurationDisplay.text(connectionTimeout)
                return bus.isConnected ? nil : "a server answers, but did not let us in within \(limit)"
            }
            defer { group.cancelAll() }
            return await group.next() ?? nil
        }
        if let problem {
            await bus.close(timeout: .zero)
            throw ConnectionFailure.refused(servers: settings.servers, reason: problem)
        }
        return bus
    }

    /// Says what to do where the bus only knows what failed.
    private func explained(_ error: any Error) -> any Error {
        guard let error = error as? BusError, error.code == .noResponders || error.code == .timeout,
            !greeting.hasJetStream
        else { return error }
        return ConnectionFailure.noJetStream(server: settings.servers.first ?? "")
    }

    func hasStream(_ name: String) async throws -> Bool {
        do throws(BusError) {
            _ = try await bus.streamState(name)
            return true
        } catch  where error.code == .notFound {
            return false
        }
    }

    /// Calls a method of a service as the operator.
    func call(_ method: String, _ parameters: JSONValue, of program: String, user: String? = nil) async throws
        -> JSONValue
    {
        do {
            return try await bus.call(
                method, parameters, subjects: subjects, as: Caller(user: user, roles: ["admin"]),
                timeout: .seconds(10))
        } catch let error as BusError where error.code == .noResponders {
            throw ConnectionFailure.noService(method: method, program: program)
        }
    }
}
