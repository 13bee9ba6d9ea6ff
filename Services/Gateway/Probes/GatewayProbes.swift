internal import GatewaySession
internal import GatewayWire

/// Pieces of the gateway that every message or connection goes through, for the micro-benchmarks in `Benchmarks/`: that
/// is a package of its own and sees only what is public. Nothing else uses this.
public struct GatewayProbe {
    public let name: String
    /// Does it once. What it returns depends on what was done, so that no compiler leaves that out.
    public let run: () -> Int

    /// - Throws: what keeps a piece from being set up; none is known.
    public static func all() async throws -> [GatewayProbe] {
        [
            connectAndSubscribe(), broadcast(.centrifugeJSON), broadcast(.plainWebSocket), deadline(),
            parseMessage(),
        ] + (try await deliver())
    }

    /// The first frame of a Centrifuge client.
    private static func connectAndSubscribe() -> GatewayProbe {
        let token = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." + String(repeating: "x", count: 110)
        let frame = Array(
            """
            {"id":1,"connect":{"token":"\(token)"}}
            {"id":2,"subscribe":{"channel":"room:lobby","recover":true,"epoch":"5f3a","offset":5}}
            """.utf8)
        var codec = CentrifugeJSON()
        return GatewayProbe(name: "decode connect and subscribe") { (try? codec.decode(frame))?.count ?? 0 }
    }

    /// A message of 128 bytes, encoded once for all subscribers.
    private static func broadcast(_ wireProtocol: WireProtocolID) -> GatewayProbe {
        let text = #"{"text":""# + String(repeating: "x", count: 117) + #""}"#
        let publication = Publication(payload: Array(text.utf8), offset: 1_234_567)
        return GatewayProbe(name: "encode a message for \(wireProtocol.rawValue)") {
            wireProtocol.encodeBroadcast(publication, label: "room:lobby").count
        }
    }

    /// One deadline among 10,000, spread over 25 seconds, each put off when it is due.
    private static func deadline() -> GatewayProbe {
        let count = 10_000, interval: Int64 = 25_000
        var now: Int64 = 0
        var wheel = TimingWheel<Int>(now: Moment(milliseconds: 0))
        for entry in 0..<count {
            wheel.schedule(entry, at: Moment(milliseconds: Int64(entry) * interval / Int64(count)))
        }
        var due: [Int] = []
        return GatewayProbe(name: "a deadline passes and is set again") {
            while due.isEmpty {
                now += 1000
                due = wheel.advance(to: Moment(milliseconds: now))
            }
            let entry = due.removeLast()
            wheel.schedule(entry, at: Moment(milliseconds: now + interval))
            return entry
        }
    }
}
