import JSON
import Testing

@testable import NATSClient

@Suite("What NATS and JetStream write")
struct NotationTests {
    @Test(
        "base64 is read, and nothing else",
        arguments: [
            ("", []), ("Zg==", [0x66]), ("Zm8=", [0x66, 0x6F]), ("Zm9v", [0x66, 0x6F, 0x6F]), ("/+8=", [0xFF, 0xEF]),
        ] as [(String, [UInt8])])
    func base64(text: String, bytes: [UInt8]) { #expect(Base64.decode(text) == bytes) }

    @Test(
        "what is not base64 is refused",
        arguments: ["Z", "Zg=", "Z===", "====", "Zg==Zg==", "Zm 8", "Zm8-", "ÄÄ", "Zg==="])
    func badBase64(text: String) { #expect(Base64.decode(text) == nil) }

    @Test("every byte value survives base64")
    func allBytes() {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        for byte in UInt8.min...UInt8.max {
            let text = [alphabet[Int(byte >> 2)], alphabet[Int(byte & 3) << 4], 0x3D, 0x3D]
            #expect(Base64.decode(String(decoding: text, as: UTF8.self)) == [byte])
        }
    }

    @Test(
        "times are read to the nanosecond",
        arguments: [
            ("1970-01-01T00:00:00Z", 0), ("2026-11-22T21:41:42.505137125Z", 1_795_383_702_505_137_125),
            ("2000-02-29T23:59:59.5Z", 951_868_799_500_000_000), ("1969-12-31T23:59:59Z", -1_000_000_000),
            ("2024-03-01T00:00:00.000000001Z", 1_709_251_200_000_000_001),
        ] as [(String, Int64)])
    func times(text: String, nanoseconds: Int64) { #expect(ServerTime.nanoseconds(text) == nanoseconds) }

    @Test(
        "what is no time is refused",
        arguments: [
            "", "2026-11-22T21:41:42", "2026-13-22T21:41:42Z", "2026-11-22 21:41:42Z", "2026-11-22T21:41:42.Z",
            "2026-11-22T21:41:42.1234567890Z", "2026-11-22T24:00:00Z", "9999-11-22T21:41:42Z",
            "2026-11-22T21:41:42+01:00",
            "aaaa-bb-ccTdd:ee:ffZ", "2026-11-22T21:41:42.12x4Z", "0000-00-00T00:00:00Z",
        ])
    func badTimes(text: String) { #expect(ServerTime.nanoseconds(text) == nil) }

    @Test("the reply subject of a delivery is read in its short and its long form")
    func deliveryMetadata() throws {
        for text in [
            "$JS.ACK.S.C.2.77.9.1795383702505137125.4", "$JS.ACK.hub.ACCHASH.S.C.2.77.9.1795383702505137125.4",
            "$JS.ACK._.ACCHASH.S.C.2.77.9.1795383702505137125.4.RaNdOm",
        ] {
            let metadata = try #require(DeliveryMetadata(replyTo: text))
            #expect(metadata.stream == "S")
            #expect(metadata.consumer == "C")
            #expect(metadata.deliveries == 2)
            #expect(metadata.sequence == 77)
            #expect(metadata.consumerSequence == 9)
            #expect(metadata.storedAtNanoseconds == 1_795_383_702_505_137_125)
            #expect(metadata.pending == 4)
        }
        for text in [
            "", "$JS", "$JS.ACK.S.C.2.77.9.1.", "$JS.ACK.S.C.2.77.9.1", "$JS.ACK.S.C.2.77.9.1.4.5",
            "$JS.NAK.S.C.2.77.9.1.4",
            "$JS.ACK.S.C.x.77.9.1.4", "$JS.ACK.S.C.2.-1.9.1.4", "$JS.ACK.S.C.2.99999999999999999999.9.1.4",
            "_INBOX.a.b",
        ] {
            #expect(DeliveryMetadata(replyTo: text) == nil)
        }
        let made = DeliveryMetadata(replyTo: DeliveryMetadata.replySubject(stream: "S", consumer: "C", sequence: 77))
        #expect(try #require(made).stream == "S")
        #expect(made?.consumer == "C")
        #expect(made?.sequence == 77)
    }

    @Test("a stored header block is read, and rubbish in it left out")
    func headerBlock() {
        let block = "NATS/1.0\r\nA: 1\r\nB:two: three\r\nno colon\r\nA: 2\r\nEmpty:\r\n\r\n"
        let headers = NATSHeaders(block: Array(block.utf8))
        #expect(headers == ["A": "1", "B": "two: three", "A": "2", "Empty": ""])
        #expect(NATSHeaders(block: []).isEmpty)
        #expect(NATSHeaders(block: [0xFF, 0xFE, 0x0D]).isEmpty)
    }

    @Test("subjects that the server would read otherwise than meant are refused")
    func subjects() {
        for good in ["a", "a.b", "a.*.c", "*", ">", "a.>", "$JS.API", "ä.ö", "a%20b"] {
            #expect(NATSSyntax.isSubject(good, allowsWildcards: true), "\(good)")
        }
        for bad in ["", ".", "a.", ".a", "a..b", "a b", "a\r\nb", "a.>.b", ">a", "a>", "a*", "*a", "a.**", "\u{7F}"] {
            #expect(!NATSSyntax.isSubject(bad, allowsWildcards: true), "\(bad)")
        }
        #expect(!NATSSyntax.isSubject("a.*", allowsWildcards: false))
    }

    @Test(
        "JetStream's numbers have their meanings, and unknown ones fail",
        arguments: [
            (404, 10059, .notFound), (404, 10014, .notFound), (404, 10037, .notFound), (400, 10043, .notFound),
            (400, 10071, .conflict), (503, 10077, .streamFull), (400, 10054, .payloadTooLarge),
            (400, 10058, .specificationMismatch),
            (400, 10065, .invalidArgument), (503, 10008, .noResponders), (400, 1, .invalidArgument),
            (404, 1, .notFound),
            (500, 10057, .failed), (500, 99_999, .failed),
        ] as [(Int64, Int64, NATSError.Code)])
    func jetStreamErrors(status: Int64, number: Int64, code: NATSError.Code) {
        let error = NATSError(
            jetStream: ["code": .integer(status), "err_code": .integer(number), "description": "what it says"])
        #expect(error.code == code)
        #expect(error.jetStreamCode == Int(number))
        #expect(error.message.contains("what it says"))
    }

    @Test("differences of a configuration are found, whatever the server leaves out or adds")
    func differences() {
        let wanted: JSONObject = [
            "name": "S", "subjects": ["a", "b"], "max_msgs": -1, "max_age": 0, "deny_delete": false, "republish": nil,
            "allow_direct": true,
        ]
        #expect(
            ConfigurationDifference.fields(
                wanted: wanted,
                kept: ["name": "S", "subjects": ["b", "a"], "max_msgs": -1, "allow_direct": true, "storage": "file"]
            ).isEmpty)
        #expect(
            ConfigurationDifference.fields(
                wanted: wanted,
                kept: [
                    "name": "S", "subjects": ["a"], "max_msgs": 5, "max_age": 1, "deny_delete": true,
                    "republish": ["src": ">", "dest": "x.>"],
                ]) == ["subjects", "max_msgs", "max_age", "deny_delete", "republish", "allow_direct"])
        #expect(ConfigurationDifference.fields(wanted: ["name": "S"], kept: nil) == ["name"])
        let nested: JSONObject = ["republish": ["src": "a.>", "dest": "b.>"]]
        #expect(
            ConfigurationDifference.fields(
                wanted: nested, kept: ["republish": ["src": "a.>", "dest": "b.>", "headers_only": false]]
            ).isEmpty)
        #expect(
            ConfigurationDifference.fields(wanted: nested, kept: ["republish": ["src": "a.>", "dest": "c.>"]])
                == ["republish"])
    }
}
