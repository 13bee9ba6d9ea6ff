import EventBus
import Events
import JSON
import Testing

@testable import ChannelHandlers

@Suite("What the gateway asks a channel handler")
struct QuestionTests {
    private func request(_ parameters: JSONValue, headers: BusHeaders = [:]) -> RPCRequest {
        RPCRequest(
            method: "hook.chat.x", parameters: parameters, caller: Caller(headers: headers), headers: headers)
    }

    @Test("a join says who wants in, with what, and whether it is there already")
    func join() throws {
        let headers: BusHeaders = [HeaderName.roles: "staff, admin", HeaderName.traceParent: "00-a"]
        let join = try ChannelJoin(
            request(
                ["channel": "chat:lobby", "user": "42", "client": "7f", "data": ["since": 17], "renewal": true],
                headers: headers), namespace: "chat")
        #expect(join.channel == chat("lobby"))
        #expect(join.caller == Caller(user: "42", roles: ["staff", "admin"], client: "7f"))
        #expect(join.data == ["since": 17])
        #expect(join.isRenewal)
        #expect(join.headers[HeaderName.traceParent] == "00-a")
    }

    @Test("a join of an anonymous client with nothing to say is a join too")
    func leastJoin() throws {
        let join = try ChannelJoin(request(["channel": "chat:lobby"]), namespace: "chat")
        #expect(join == ChannelJoin(channel: chat("lobby"), caller: Caller()))
        #expect(join.caller.user == nil)
        #expect(join.data == .null)
        #expect(!join.isRenewal)
    }

    @Test("who it is stands in the headers too, for whoever asks with those alone")
    func callerOfHeaders() throws {
        let join = try ChannelJoin(
            request(["channel": "chat:lobby"], headers: [HeaderName.user: "9", HeaderName.client: "c"]),
            namespace: "chat")
        #expect(join.caller == Caller(user: "9", client: "c"))
    }

    @Test("an event has a name, message unless it says so, and data of any kind", arguments: ["null", "5", "[1]"])
    func event(data: String) throws {
        let value = try JSONValue(parsing: data)
        let plain = try ChannelEvent(request(["channel": "chat:lobby", "data": value]), namespace: "chat")
        #expect(plain.name == "message")
        #expect(plain.data == value)
        let named = try ChannelEvent(
            request(["channel": "chat:lobby", "event": "typing…", "data": value]), namespace: "chat")
        #expect(named.name == "typing…")
    }

    @Test("a leave says why")
    func leave() throws {
        let leave = try ChannelLeave(
            request(["channel": "chat:lobby", "user": "42", "client": "7f", "reason": "disconnected"]),
            namespace: "chat")
        #expect(leave.reason == "disconnected")
        #expect(leave.caller.client == "7f")
        #expect(try ChannelLeave(request(["channel": "chat:lobby"]), namespace: "chat").reason == "")
    }

    @Test(
        "garbage is refused with 400",
        arguments: [
            "null", "[]", "\"chat:lobby\"", "{}", #"{"channel":5}"#, #"{"channel":"chat:"}"#,
            #"{"channel":"chat:a..b"}"#,
            #"{"channel":"room:lobby","data":1}"#, #"{"channel":"lobby","data":1}"#,
        ])
    func garbage(text: String) throws {
        let question = request(try JSONValue(parsing: text))
        for refused in [
            #expect(throws: RPCError.self) { try ChannelJoin(question, namespace: "chat") },
            #expect(throws: RPCError.self) { try ChannelEvent(question, namespace: "chat") },
            #expect(throws: RPCError.self) { try ChannelLeave(question, namespace: "chat") },
        ] {
            #expect(refused?.code == 400)
        }
    }

    @Test(
        "an event without data, or with a name that could not travel in a header, is refused with 400",
        arguments: [
            #"{"channel":"chat:lobby"}"#, #"{"channel":"chat:lobby","data":1,"event":""}"#,
            #"{"channel":"chat:lobby","data":1,"event":7}"#, #"{"channel":"chat:lobby","data":1,"event":"a\nb"}"#,
            #"{"channel":"chat:lobby","data":1,"event":"a\r"}"#,
            #"{"channel":"chat:lobby","data":1,"event":"a\u007f"}"#,
        ])
    func badEvent(text: String) throws {
        let error = #expect(throws: RPCError.self) {
            try ChannelEvent(request(try JSONValue(parsing: text)), namespace: "chat")
        }
        #expect(error?.code == 400)
    }

    @Test("an event's name has at most 200 bytes")
    func longName() throws {
        func event(_ length: Int) throws -> ChannelEvent {
            try ChannelEvent(
                request([
                    "channel": "chat:lobby", "data": 1, "event": .string(String(repeating: "e", count: length)),
                ]), namespace: "chat")
        }
        #expect(try event(200).name.count == 200)
        #expect(throws: RPCError.self) { try event(201) }
    }
}

@Suite("What a channel handler answers")
struct AnswerTests {
    @Test("a welcome holds what there is to say and nothing else")
    func welcome() {
        #expect(JoinAnswer.welcome().encoded == [:])
        #expect(JoinAnswer.welcome(["messages": []]).encoded == ["data": ["messages": []]])
        #expect(JoinAnswer.welcome(.null).encoded == ["data": nil])
    }

    @Test(
        "the time until the next question is whole seconds, never less than wanted and never none",
        arguments: [
            (Duration.seconds(300), Int64(300)), (.milliseconds(1500), 2), (.milliseconds(1), 1), (.zero, 1),
            (.seconds(-5), 1), (.seconds(Int64.max), Int64.max),
        ])
    func expiry(duration: Duration, seconds: Int64) {
        #expect(JoinAnswer.welcome(expiresIn: duration).encoded == ["expires_in": .integer(seconds)])
    }

    @Test("an event goes to everybody by the gateway, to others by the service, or to nobody")
    func events() {
        #expect(EventAnswer.broadcast().encoded == [:])
        #expect(
            EventAnswer.broadcast(["id": 1], event: "message", reply: ["id": 1]).encoded
                == ["data": ["id": 1], "event": "message", "reply": ["id": 1]])
        #expect(
            EventAnswer.broadcastToOthers(["id": 1], event: "x", reply: 5).encoded == ["publish": false, "reply": 5])
        #expect(EventAnswer.broadcast(["id": 1], storing: false).encoded == ["publish": false])
        #expect(EventAnswer.reply("pong").encoded == ["publish": false, "reply": "pong"])
        #expect(EventAnswer.handled.encoded == ["publish": false])
    }
}
