import EventBus
import Events
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
