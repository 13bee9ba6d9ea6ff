import Events
import GatewayProbes
import JSON

/// What every message goes through, alone and in memory.
func measureOperations() async throws -> [Measurement] {
    let message =
        Array(
            #"{"id":"b7c1","type":"order_update","title":"Order 1001","message":"Your order status is now: shipped","#
                .utf8
        )
        + Array(
            #""order_id":1001,"read":false,"created_at":"2026-01-01T00:00:00Z","unread_count":3,"tags":["a","b"],"#
                .utf8)
        + Array(#""customer":{"name":"Zoë","vip":true,"score":12.75},"note":null}"#.utf8)
    let large = Array("[".utf8) + message + (0..<200).flatMap { _ in Array(",".utf8) + message } + Array("]".utf8)
    let value = try JSONValue(parsing: message)
    let subjects = Subjects.standard
    let plain = try ChannelName("room:lobby.42"), odd = try ChannelName("room:a b*c>d/ü")
    let subject = subjects.live(plain)

    let probes = try await GatewayProbe.all()
    return [
        Measurement("check a message to be JSON", bytes: message.count) { JSONScanner.isValid(message) ? 1 : 0 },
        Measurement("check 200 messages in one", bytes: large.count) { JSONScanner.isValid(large) ? 1 : 0 },
        Measurement("parse a message", bytes: message.count) {
            (try? JSONValue(parsing: message))?.objectValue?.count ?? 0
        },
        Measurement("serialise a message", bytes: message.count) { value.serialized().count },
        Measurement("a channel's name from text") { (try? ChannelName("room:lobby.42"))?.name.count ?? 0 },
        Measurement("its subject") { subjects.live(plain).utf8.count },
        Measurement("the subject of a name that must be escaped") { subjects.live(odd).utf8.count },
        Measurement("the channel of a subject") { subjects.channel(ofSubject: subject)?.name.utf8.count ?? 0 },
    ] + probes.map { probe in Measurement(probe.name, probe.run) }
}
