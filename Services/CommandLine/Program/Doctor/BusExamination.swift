internal import CommandLineCore
internal import EventBus
internal import Events
internal import JSON

/// NATS, its streams, and the services that answer on it.
struct BusExamination {
    let options: BusOptions
    let settings: ToolSettings
    let hasServerProgram: Bool

    func findings() async -> [Finding] {
        do {
            return try await BusSession.run(options) { session in
                [server(session)] + (session.greeting.hasJetStream ? try await streams(session) : [noJetStream()])
                    + (try await services(session))
            }
        } catch {
            return [
                Finding(
                    .problem, "NATS", "\(Failure(explaining: error))",
                    remedy: hasServerProgram ? nil : "nats-server is not installed here: `apt-get install nats-server`")
            ]
        }
    }

    private func server(_ session: BusSession) -> Finding {
        let addresses = settings.servers.map { ServerAddress($0)?.description ?? "?" }.joined(separator: ", ")
        return Finding(.ok, "NATS", "\(addresses), version \(session.greeting.version)")
    }

    private func noJetStream() -> Finding {
        Finding(
            .problem, "JetStream", "off: history, events and tasks need it",
            remedy: "start the server with `nats-server --jetstream`, or a `jetstream {}` block in its configuration")
    }

    private func streams(_ session: BusSession) async throws -> [Finding] {
        let subjects = session.subjects
        let expected =
            [
                (subjects.eventsStream, "apus-notifier"), (subjects.tasksStream, "apus-worker"),
            ] + ChannelHistory.builtIn.keys.sorted().map { (subjects.historyStream(namespace: $0), "apus-gateway") }
        var present = 0
        var findings: [Finding] = []
        for (name, owner) in expected {
            if try await session.hasStream(name) {
                present += 1
            } else {
                findings.append(
                    Finding(.warning, "stream \(name)", "not there", remedy: "\(owner) makes it when it starts"))
            }
        }
        return [Finding(.ok, "JetStream", "on, \(present) of Apus's \(expected.count) streams are there")] + findings
    }

    private func services(_ session: BusSession) async throws -> [Finding] {
        let running = try await session.services(within: .milliseconds(700))
        // A gateway answers clients, not calls on the bus: its page and its own HTTP server tell how it is.
        return DevelopmentPlan.services.compactMap { name -> Finding? in
            let instances = running.filter { $0.name == name }
            guard let first = instances.first else {
                guard name != "apus-gateway" else { return nil }
                return Finding(
                    .problem, name, "does not answer on the bus",
                    remedy: "start it: `apus dev`, or `\(name) --config FILE`")
            }
            let errors = instances.reduce(0) { $0 + $1.errors }
            let count = instances.count == 1 ? "" : ", \(instances.count) instances"
            return Finding(
                .ok, name, "version \(first.version)\(count)\(errors > 0 ? ", \(errors) errors so far" : "")")
        }
    }
}
