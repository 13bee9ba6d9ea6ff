import Events
import JSON
import TestKit
import Testing

typealias Headers = [(name: String, value: String)]

func headers(_ pairs: KeyValuePairs<String, String>) -> Headers {
    pairs.map { (name: $0.key, value: $0.value) }
}

@Suite("A CloudEvent in binary mode")
struct BinaryCloudEventTests {
    let required: Headers = headers([
        "ce-specversion": "1.0", "ce-id": "7", "ce-source": "/shop", "ce-type": "order.paid",
    ])

    @Test("is read from its headers, whatever their case, and percent-decoded")
    func read() throws {
        let event = try #require(
            try CloudEvent(
                headers: headers([
                    "CE-SpecVersion": "1.0", "Ce-Id": "a%20b", "ce-source": "urn:shop", "ce-type": "order.paid",
                    "ce-time": "2026-01-01T01:00:00+01:00", "ce-subject": "%e2%82%ac%22%25",
                    "ce-datacontenttype": "text/plain",
                    "ce-dataschema": "https://example.com/s", "ce-traceid": "x=1;y", "Nats-Msg-Id": "m",
                ]), payload: [1, 2]))
        #expect(
            event
                == CloudEvent(
                    id: "a b", source: "urn:shop", type: "order.paid", time: Timestamp(seconds: 1_767_225_600),
                    subject: "€\"%", dataContentType: "text/plain", dataSchema: "https://example.com/s",
                    extensions: ["traceid": "x=1;y"], data: [1, 2]))
    }

    @Test("may come without its version, and with its media type as HTTP writes it")
    func lenient() throws {
        let event = try CloudEvent(
            headers: headers(["ce-id": "1", "ce-source": "s", "ce-type": "t", "Content-Type": "application/json"]),
            payload: [])
        #expect(event?.dataContentType == "application/json")
        #expect(event?.hasJSONData == true)
    }

    @Test("is not seen where there is none")
    func none() throws {
        #expect(
            try CloudEvent(headers: headers(["Nats-Msg-Id": "1", "Content-Type": "application/json"]), payload: [])
                == nil)
        #expect(try CloudEvent(headers: headers(["ce-": "1", "cex": "2"]), payload: []) == nil)
    }

    @Test(
        "that is wrong says which attribute is",
        arguments: [
            ("ce-id", nil, "id"), ("ce-id", "", "id"), ("ce-source", nil, "source"), ("ce-source", "a b", "source"),
            ("ce-type", nil, "type"), ("ce-specversion", "0.3", "specversion"), ("ce-specversion", "", "specversion"),
            ("ce-time", "yesterday", "time"), ("ce-time", "2026-02-30T00:00:00Z", "time"),
            ("ce-subject", "", "subject"),
            ("ce-dataschema", "nowhere", "dataschema"), ("ce-my_ext", "x", "my_ext"), ("ce-id", "%FF", "id"),
            ("ce-é", "x", "?"),
        ] as [(String, String?, String)])
    func invalid(name: String, value: String?, attribute: String) {
        var headers = required.filter { $0.name != name }
        if let value { headers.append((name: name, value: value)) }
        let error = #expect(throws: CloudEventError.self) { try CloudEvent(headers: headers, payload: []) }
        #expect(error?.attribute == attribute)
    }

    @Test("that cannot be decoded keeps its percent signs", arguments: ["100%", "%", "%z1", "5%4", "a%%"])
    func literalPercent(value: String) throws {
        let event = try CloudEvent(headers: required + headers(["ce-subject": value]), payload: [])
        #expect(event?.subject == value)
    }

    @Test("comes back from its headers and from its structured form", arguments: 0..<200 as Range<UInt64>)
    func roundTrip(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let alphabet = Array("azAZ09 %\"\\/é€🙂\r\n\u{0}\u{7F}:;,")
        func text(_ letters: [Character]) -> String {
            String(
                (0..<Int.random(in: 1...20, using: &generator)).map { _ in letters.randomElement(using: &generator)! })
        }
        let event = CloudEvent(
            id: text(alphabet), source: text(Array("abc/:.-_%é")), type: text(alphabet),
            time: Timestamp(
                nanoseconds: Int64.random(in: -9_000_000_000...4_000_000_000_000_000_000, using: &generator)),
            subject: Bool.random(using: &generator) ? text(alphabet) : nil,
            dataContentType: ["application/json", "text/plain", nil].randomElement(using: &generator)!,
            extensions: Bool.random(using: &generator) ? ["ext1": text(alphabet)] : [:],
            data: JSONValue.string(text(alphabet)).serialized())
        for (name, value) in event.binaryHeaders {
            #expect(value.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }, "seed \(seed): \(name)")
        }
        #expect(try CloudEvent(headers: event.binaryHeaders, payload: event.data) == event, "seed \(seed)")
        #expect(try CloudEvent(structured: event.structuredPayload) == event, "seed \(seed)")
    }
}

@Suite("A CloudEvent in structured mode")
struct StructuredCloudEventTests {
    private func read(_ json: String, type: String = "application/cloudevents+json") throws -> CloudEvent? {
        try CloudEvent(headers: headers(["content-type": type]), payload: Array(json.utf8))
    }

    @Test(
        "is read from its object, with JSON data",
        arguments: [
            "application/cloudevents+json", "Application/CloudEvents+JSON; charset=utf-8",
            "application/cloudevents+json;x",
        ])
    func json(type: String) throws {
        let event = try read(
            #"{"specversion":"1.0","id":"1","source":"/s","type":"t","n":5,"b":true,"x":null,"data":{"a":[1]}}"#,
            type: type)
        #expect(event?.data == Array(#"{"a":[1]}"#.utf8))
        #expect(event?.extensions == ["n": "5", "b": "true"])
    }

    @Test("holds text as a string and bytes as base64")
    func otherData() throws {
        let start = #"{"specversion":"1.0","id":"1","source":"/s","type":"t","#
        #expect(try read(start + #""datacontenttype":"text/plain","data":"hé"}"#)?.data == Array("hé".utf8))
        #expect(try read(start + #""data":"x"}"#)?.data == Array(#""x""#.utf8))
        #expect(try read(start + #""data_base64":"AP8="}"#)?.data == [0, 255])
        #expect(try read(start + #""data_base64":"AP8"}"#)?.data == [0, 255])
        #expect(try read(start.dropLast() + "}")?.data == [])
    }

    @Test(
        "that is wrong says what is",
        arguments: [
            ("", "data"), ("[]", "data"), ("{", "data"), ("{}", "id"), (#"{"id":{}}"#, "id"), (#"{"id":1.5}"#, "id"),
            (#"{"specversion":"2.0"}"#, "specversion"),
            (#"{"id":"1","source":"s","type":"t","data_base64":"*"}"#, "data_base64"),
            (#"{"id":"1","source":"s","type":"t","data_base64":1}"#, "data_base64"),
            (#"{"id":"1","source":"s","type":"t","data_base64":"","data":1}"#, "data_base64"),
            (#"{"id":"1","source":"s","type":"t","data_base64":"A"}"#, "data_base64"),
            (#"{"id":"1","source":"s","type":"t","data_base64":"===="}"#, "data_base64"),
            (#"{"id":"1","source":"s","type":"t","Upper":"x"}"#, "Upper"),
        ])
    func invalid(json: String, attribute: String) {
        let error = #expect(throws: CloudEventError.self) { try read(json) }
        #expect(error?.attribute == attribute)
    }

    @Test("in a batch or another format is refused with a reason")
    func batch() {
        for type in ["application/cloudevents-batch+json", "application/cloudevents+avro"] {
            #expect(throws: CloudEventError.self) { try read("[]", type: type) }
        }
    }
}

@Suite("An incoming event")
struct IncomingEventTests {
    @Test("is the same in each of the three forms")
    func forms() throws {
        let fields: JSONObject = ["order_id": 1001, "user_id": "42", "status": "shipped"]
        let payload = JSONValue.object(fields).serialized()
        let cloudEvent = CloudEvent(
            id: "e1", source: "/shop", type: "com.example.order", time: Timestamp(seconds: 5), data: payload)
        let plain = try IncomingEvent(
            headers: headers(["nats-msg-id": "m1"]), payload: payload, subjectType: "order.status_changed")
        let binary = try IncomingEvent(
            headers: cloudEvent.binaryHeaders, payload: payload, subjectType: "order.status_changed")
        let structured = try IncomingEvent(
            headers: headers(["Content-Type": CloudEvent.structuredMediaType]), payload: cloudEvent.structuredPayload,
            subjectType: "order.status_changed")
        for event in [plain, binary, structured] {
            #expect(event.event == BusinessEvent(type: "order.status_changed", fields: fields))
        }
        #expect([plain.id, binary.id, structured.id] == ["m1", "e1", "e1"])
        #expect([plain.time, binary.time, structured.time] == [nil, Timestamp(seconds: 5), Timestamp(seconds: 5)])
        #expect(structured.cloudEvent?.type == "com.example.order")
    }

    @Test("may have no data when it is a CloudEvent")
    func bare() throws {
        let event = CloudEvent(id: "1", source: "s", type: "t")
        #expect(try IncomingEvent(headers: event.binaryHeaders, payload: [], subjectType: "t").event.fields == [:])
        #expect(throws: IncomingEventError.self) { try IncomingEvent(headers: [], payload: [], subjectType: "t") }
    }

    @Test(
        "whose data is no JSON object is refused without being quoted",
        arguments: [
            "", "secret", "[1]", "5", "\"secret\"", "{\"secret\":", "\u{FEFF}{}",
        ])
    func invalid(payload: String) {
        let error = #expect(throws: IncomingEventError.self) {
            try IncomingEvent(headers: [], payload: Array(payload.utf8), subjectType: "t")
        }
        #expect(error?.description.contains("secret") == false)
    }

    @Test("of another media type is refused")
    func mediaType() {
        let event = CloudEvent(id: "1", source: "s", type: "t", dataContentType: "text/xml", data: Array("{}".utf8))
        #expect(throws: IncomingEventError.self) {
            try IncomingEvent(headers: event.binaryHeaders, payload: event.data, subjectType: "t")
        }
    }

    @Test("random headers and payloads never trap", arguments: 0..<100 as Range<UInt64>)
    func random(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let names = ["ce-id", "CE-TYPE", "ce-source", "ce-time", "content-type", "ce-", "ce-data", "ce-x", "é"]
        let values = [
            "", "%", "%F", "1.0", "application/cloudevents+json", "text/plain", "\u{0}", "🙂", "2026-13-01T00:00:00Z",
        ]
        let payloads = ["", "{}", "{", #"{"id":1,"source":"s","type":"t","data":[]}"#, "null"]
        for _ in 0..<100 {
            let headers = (0..<Int.random(in: 0...6, using: &generator)).map { _ in
                (name: names.randomElement(using: &generator)!, value: values.randomElement(using: &generator)!)
            }
            let payload = Array(payloads.randomElement(using: &generator)!.utf8)
            do throws(IncomingEventError) {
                let event = try IncomingEvent(headers: headers, payload: payload, subjectType: "t")
                #expect(event.event.type == "t", "seed \(seed)")
            } catch {
                #expect(!error.description.isEmpty, "seed \(seed)")
            }
        }
    }
}
