import GatewayWire
import TestKit
import Testing

/// What clients send, a little wrong: it is understood, answered or refused, and never traps.
@Suite struct WireMutationTests {
    private static let frames: [String] = [
        #"{"id":1,"connect":{"token":"t","data":{},"subs":{"user:42":{"recover":true,"epoch":"e","offset":7}}}}"#,
        #"{"id":2,"subscribe":{"channel":"room:a","recover":true,"epoch":"e","offset":18446744073709551615}}"#
            + "\n"
            + #"{"id":3,"publish":{"channel":"room:a","data":{"text":"\u00fc \ud83d\ude00","n":[1,2.5e10,null]}}}"#,
        #"{"id":4,"history":{"channel":"room:a","limit":-1,"since":{"epoch":"e","offset":3},"reverse":true}}"#,
        #"{"id":5,"rpc":{"method":"a.b","data":[[[[{"deep":{}}]]]]}}"#, "{}", #"{"send":{"data":1}}"#,
        #"{"id":6,"sub_refresh":{"channel":"room:a","token":"x"}}"#, #"{"id":7,"presence":{"channel":"room:a"}}"#,
    ]

    @Test("mutated frames", arguments: 0..<400)
    func frames(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var centrifuge = CentrifugeJSON()
        var plain = PlainWebSocket(channel: "room:a")
        for frame in WireMutationTests.frames {
            let bytes = Mutation.mutate(Array(frame.utf8), using: &random)
            if let commands = try? centrifuge.decode(bytes) {
                #expect(!commands.isEmpty && commands.count <= 256, "seed \(seed): \(bytes)")
            }
            let commands = try plain.decode(bytes)
            #expect(commands.count == 1, "seed \(seed): \(bytes)")
        }
    }

    @Test("mutated positions are read as some position or refused", arguments: 0..<400)
    func cursors(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let valid = "room%3Alobby~5f3a~8,user%3A42~5f3a~18446744073709551615,%C3%BC~e~0"
        let text = String(decoding: Mutation.mutate(Array(valid.utf8), using: &random), as: UTF8.self)
        guard let cursor = ChannelCursor(text) else { return }
        #expect(ChannelCursor(cursor.text) == cursor, "seed \(seed): \(text)")
    }
}
