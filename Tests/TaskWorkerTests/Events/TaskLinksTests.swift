import Events
import JSON
import Testing

@Suite struct TaskLinksTests {
    @Test("links are read as they were written")
    func roundTrip() throws {
        let id = try #require(TaskID("a.b"))
        for links in [
            TaskLinks(), TaskLinks(unique: "é/1"), TaskLinks(unique: "k", uniquePolicy: .return),
            TaskLinks(previous: nil), TaskLinks(previous: "rows"), TaskLinks(follows: id, replayOf: id),
            TaskLinks(
                chain: [TaskRequest(name: "y", arguments: ["n": 1], links: TaskLinks(previous: nil))],
                group: TaskLinks.GroupPlace(id: id, index: 7)),
        ] {
            let request = TaskRequest(name: "x", links: links)
            let text = request.json.serialized()
            #expect(try TaskRequest(json: JSONValue(parsing: text)) == request)
        }
    }

    @Test(
        "links of a wrong form are refused with the member's name",
        arguments: [
            (#"{"name":"x","unique":""}"#, "unique"), (#"{"name":"x","unique":5}"#, "unique"),
            (#"{"name":"x","unique_policy":"drop"}"#, "unique_policy"), (#"{"name":"x","chain":{}}"#, "chain"),
            (#"{"name":"x","chain":[5]}"#, "chain[0]."), (#"{"name":"x","chain":[{"name":"y"},{}]}"#, "chain[1].name"),
            (#"{"name":"x","chain":[{"name":"y","chain":[]}]}"#, "chain[0]"),
            (#"{"name":"x","chain":[{"name":"y","id":"i"}]}"#, "chain[0]"),
            (#"{"name":"x","chain":[{"name":"y","replay_of":"i"}]}"#, "chain[0]"),
            (#"{"name":"x","previous":7}"#, "previous"), (#"{"name":"x","group":{"id":"g"}}"#, "group"),
            (#"{"name":"x","group":{"id":"g","index":-1}}"#, "group"), (#"{"name":"x","follows":"a b"}"#, "follows"),
        ])
    func invalid(text: String, field: String) throws {
        let json = try JSONValue(parsing: text)
        #expect {
            _ = try TaskRequest(json: json)
        } throws: { error in
            (error as? TaskRequest.Invalid)?.field == field
        }
    }

    @Test("an id that a text names is the same for the same text and moment, and tells the moment")
    func derivedIDs() throws {
        let moment = Timestamp(seconds: 1_700_000_000)
        let ids = (0..<2000).map { TaskID.derived(from: "chain/\($0)", at: moment) }
        #expect(Set(ids).count == ids.count)
        #expect(ids == (0..<2000).map { TaskID.derived(from: "chain/\($0)", at: moment) })
        #expect(ids.allSatisfy { $0.moment == moment && TaskID($0.description) == $0 })
        #expect(TaskID.derived(from: "chain/0", at: moment.advanced(by: .milliseconds(1))) != ids[0])
    }
}
