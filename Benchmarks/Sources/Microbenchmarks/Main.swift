import Events
import JSON

/// What every message goes through, alone and in memory.
@main struct Microbenchmarks {
    static func main() throws {
        print("operation                                             best        median      throughput")
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

        measure("check a message (JSONScanner)", bytes: message.count) { JSONScanner.isValid(message) ? 1 : 0 }
        measure("parse a message (JSONValue)", bytes: message.count) {
            (try? JSONValue(parsing: message))?.objectValue?.count ?? 0
        }
        let value = try JSONValue(parsing: message)
        measure("serialise a message", bytes: message.count) { value.serialized().count }
        measure("check 200 messages in one", bytes: large.count) { JSONScanner.isValid(large) ? 1 : 0 }
        measure("parse 200 messages in one", bytes: large.count) { (try? JSONValue(parsing: large)) == nil ? 0 : 1 }

        let subjects = Subjects.standard
        measure("a channel's name from text") { (try? ChannelName("room:lobby.42"))?.name.count ?? 0 }
        let plain = try ChannelName("room:lobby.42"), odd = try ChannelName("room:a b*c>d/ü")
        measure("its subject") { subjects.live(plain).utf8.count }
        measure("the subject of a name that must be escaped") { subjects.live(odd).utf8.count }
        let subject = subjects.live(plain)
        measure("the channel of a subject") { subjects.channel(ofSubject: subject)?.name.utf8.count ?? 0 }
    }
}
