import EventBus
import Events
import TestKit
import Testing

@Suite("Headers")
struct BusHeadersTests {
    @Test("are found in any case, and keep the case and order in which they were written")
    func lookup() {
        var headers: BusHeaders = ["Content-Type": "a", "ce-id": "1"]
        #expect(headers["content-type"] == "a")
        #expect(headers["CE-ID"] == "1")
        #expect(headers["ce_id"] == nil)
        headers["CONTENT-TYPE"] = "b"
        headers.append("x", "1")
        headers.append("X", "2")
        #expect(headers.map(\.name) == ["Content-Type", "ce-id", "x", "X"])
        #expect(headers["x"] == "1")
        headers["x"] = nil
        #expect(headers.map(\.name) == ["Content-Type", "ce-id"])
    }

    @Test(
        "of letters and their neighbours in ASCII are not mixed up",
        arguments: [("@", "`"), ("[", "{"), ("_", "\u{7F}")])
    func notLetters(left: String, right: String) {
        let headers: BusHeaders = [left: "1"]
        #expect(headers[right] == nil)
    }

    @Test("that came as text are those that were written, and what is no line of one is left out")
    func lines() {
        let text = "Apus-Event: message\r\nce-id:1\r\nx:  a: b \r\nX: second\r\nnothing\r\n: empty\r\ne:\r\n\r\n"
        let headers = BusHeaders(lines: Array(text.utf8))
        #expect(headers["apus-EVENT"] == "message")
        #expect(headers["ce-id"] == "1")
        #expect(headers["x"] == "a: b ")
        #expect(headers["e"] == "")
        #expect(headers["nothing"] == nil && headers[""] == nil && headers["apus-even"] == nil)
        #expect(!headers.isEmpty)
        #expect(headers.map(\.name) == ["Apus-Event", "ce-id", "x", "X", "e"])
        #expect(headers == ["Apus-Event": "message", "ce-id": "1", "x": "a: b ", "X": "second", "e": ""])
        var changed = headers
        changed["X"] = nil
        changed.append("y", "z")
        #expect(changed.map(\.name) == ["Apus-Event", "ce-id", "e", "y"])
        for empty in ["", "\r\n", "\r\n\r\n", "no colon", ":"] {
            #expect(BusHeaders(lines: Array(empty.utf8)).isEmpty)
        }
    }

    @Test("of text say the same one by one as all at once, whatever the text", arguments: 0..<200)
    func mutatedLines(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let names = ["Nats-Sequence", "Nats-Last-Sequence", "a", "B", "Content-Type", ""]
        let text = names.map { "\($0): \(seed)\r\n" }.joined() + "\r\n"
        for _ in 0..<20 {
            let headers = BusHeaders(lines: Mutation.mutate(Array(text.utf8), using: &random))
            var fields = BusHeaders()
            for (name, value) in headers { fields.append(name, value) }
            #expect(headers.isEmpty == fields.isEmpty, "seed \(seed)")
            for name in names { #expect(headers[name] == fields[name], "seed \(seed), \(name)") }
        }
    }
}

@Suite("A caller")
struct CallerTests {
    @Test("is read from the headers and written back")
    func roundTrip() {
        let caller = Caller(user: "42", roles: ["admin", "staff"], client: "c1")
        var headers: BusHeaders = ["apus-user": "other", "Apus-Roles": "root"]
        caller.write(to: &headers)
        #expect(Caller(headers: headers) == caller)
        #expect(caller.has(role: "staff"))
        #expect(!caller.has(role: "root"))
    }

    @Test("without headers is nobody")
    func anonymous() {
        #expect(Caller(headers: [:]) == Caller())
        #expect(Caller(headers: ["Apus-User": "", "Apus-Roles": " , ,", "Apus-Client": ""]) == Caller())
        var headers: BusHeaders = ["Apus-User": "42", "Apus-Roles": "admin"]
        Caller().write(to: &headers)
        #expect(headers.isEmpty)
    }

    @Test("cannot gain a role by a comma in another")
    func comma() {
        var headers = BusHeaders()
        Caller(user: "1", roles: ["x,admin", "staff"]).write(to: &headers)
        #expect(Caller(headers: headers).roles == ["staff"])
    }

    @Test("roles may have spaces around their commas")
    func spaces() {
        #expect(Caller(headers: ["Apus-Roles": "a, b ,c"]).roles == ["a", "b", "c"])
    }
}
