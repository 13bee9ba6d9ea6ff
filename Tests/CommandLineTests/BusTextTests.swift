import CommandLineCore
import JSON
import Testing

@Suite("What the tool knows of the bus")
struct BusTextTests {
    @Test(
        "a server's address is read, and shown without its password",
        arguments: [
            ("nats://127.0.0.1:4222", "nats://127.0.0.1:4222"), ("nats://host", "nats://host:4222"),
            ("tls://ada:se:cret@host:1", "tls://host:1"), ("host:99", "nats://host:99"),
            ("nats://[::1]:4223", "nats://[::1]:4223"), ("nats://[::1]", "nats://[::1]:4222"),
            ("nats://token@host/", "nats://host:4222"),
        ])
    func address(text: String, shown: String) throws {
        #expect(try #require(ServerAddress(text)).description == shown)
    }

    @Test(
        "what is no address is refused",
        arguments: ["", "nats://", "nats://host:0", "nats://host:65536", "nats://host:x", "nats://[::1]x", "a b"])
    func noAddress(text: String) {
        #expect(ServerAddress(text) == nil)
    }

    @Test("a server's greeting is read, and nothing else is taken for one")
    func greeting() throws {
        let line =
            #"INFO {"server_id":"N","server_name":"a","version":"2.9.10","jetstream":true,"max_payload":1048576} "#
        let greeting = try #require(ServerGreeting(line: line))
        #expect(greeting.version == "2.9.10")
        #expect(greeting.hasJetStream)
        #expect(greeting.maximumPayload == 1_048_576)
        for other in ["", "INFO", "INFO {", "INFO []", "HTTP/1.1 400 Bad Request", "SSH-2.0-OpenSSH"] {
            #expect(ServerGreeting(line: other) == nil)
        }
    }

    @Test("a failure names what to do next and no password")
    func failures() {
        let unreachable = ConnectionFailure.unreachable(servers: ["nats://a:secret@127.0.0.1:4222"], source: nil)
        #expect(
            unreachable.description
                == "cannot reach NATS at nats://127.0.0.1:4222: start one with `apus dev`, or name yours with --nats-url"
        )
        let named = ConnectionFailure.unreachable(servers: ["h"], source: "./.apus/apus.yaml")
        #expect(named.description.contains("(from ./.apus/apus.yaml)"))
        #expect(
            ConnectionFailure.noService(method: "tasks.get", program: "apus-worker").description.contains("apus-worker")
        )
    }

    @Test("a service's answers are put together whatever their order")
    func listing() throws {
        let information: JSONValue = [
            "type": "io.nats.micro.v1.info_response", "name": "apus-worker", "id": "A", "version": "0.1.0",
            "description": "runs tasks",
            "endpoints": [["name": "tasks-get", "subject": "apus.rpc.tasks.get", "metadata": ["method": "tasks.get"]]],
        ]
        let statistics: JSONValue = [
            "type": "io.nats.micro.v1.stats_response", "name": "apus-worker", "id": "A", "version": "0.1.0",
            "endpoints": [
                [
                    "name": "tasks-get", "subject": "apus.rpc.tasks.get", "metadata": ["method": "tasks.get"],
                    "num_requests": 4, "num_errors": 1, "processing_time": 8_000_000, "last_error": "404: no",
                ]
            ],
        ]
        let other: JSONValue = ["name": "another", "id": "B", "version": "1.0.0"]
        for answers in [[information, statistics, other], [other, statistics, information]] {
            let listings = ServiceListing.gather(answers)
            #expect(listings.map(\.name) == ["another", "apus-worker"])
            let worker = try #require(listings.last)
            #expect(worker.description == "runs tasks")
            #expect(worker.requests == 4)
            #expect(worker.errors == 1)
            #expect(worker.endpoints.first?.name == "tasks.get")
            #expect(worker.endpoints.first?.averageTime == .milliseconds(2))
        }
    }

    @Test("answers that are none, or hold impossible figures, do no harm")
    func oddAnswers() {
        let odd: [JSONValue] = [
            nil, 5, [], [:], ["name": "x"], ["name": 1, "id": 2],
            [
                "name": "x", "id": "y", "type": "io.nats.micro.v1.stats_response",
                "endpoints": [
                    1, ["num_requests": -5, "processing_time": .integer(.min)], ["num_requests": .integer(.max)],
                    ["num_requests": .integer(.max)],
                ],
            ],
        ]
        let listings = ServiceListing.gather(odd)
        #expect(listings.count == 1)
        #expect(listings[0].endpoints[1].averageTime == nil)
        _ = listings[0].json
    }
}
