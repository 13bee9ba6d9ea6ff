import Events
import JSON
import NotifierCore
import TestKit
import Testing

/// The type under test; TestKit has one of the same name.
private typealias Inbox = NotifierCore.Inbox

@Suite struct InboxTests {
    private static let limits = Inbox.Limits(count: 5, bytes: 100_000)

    private func notification(_ number: Int, second: Int64? = nil, type: String = "order_update") -> Notification {
        Notification(
            id: "n\(number)", type: type, title: "t", message: "m",
            createdAt: Timestamp(seconds: second ?? Int64(number)),
            fields: ["order_id": .integer(Int64(number))])
    }

    private func inbox(_ numbers: ClosedRange<Int>) -> Inbox {
        var inbox = Inbox()
        for number in numbers { #expect(inbox.insert(notification(number), limits: Self.limits) == .inserted) }
        return inbox
    }

    private func ids(_ items: [Inbox.Item]) -> [String] { items.map(\.notification.id) }

    @Test("newest first, each once")
    func order() {
        var inbox = inbox(1...3)
        #expect(ids(inbox.items) == ["n3", "n2", "n1"])
        let before = inbox
        #expect(inbox.insert(notification(2), limits: Self.limits) == .duplicate)
        #expect(inbox == before)
        #expect(inbox.unreadCount == 3)
    }

    @Test("one that comes late takes its place by time")
    func lateArrival() {
        var inbox = inbox(1...3)
        #expect(inbox.insert(notification(9, second: 2), limits: Self.limits) == .inserted)
        #expect(ids(inbox.items) == ["n3", "n9", "n2", "n1"])
    }

    @Test("what is beyond the limit falls off at the old end and is counted")
    func limits() {
        var inbox = inbox(1...8)
        #expect(ids(inbox.items) == ["n8", "n7", "n6", "n5", "n4"])
        #expect(inbox.dropped == 3)
        #expect(inbox.insert(notification(9), limits: Inbox.Limits(count: 5, bytes: 300)) == .inserted)
        #expect(ids(inbox.items) == ["n9", "n8"])
        #expect(inbox.dropped == 7)
        #expect(inbox.insert(notification(10), limits: Inbox.Limits(count: 5, bytes: 1)) == .inserted)
        #expect(ids(inbox.items) == ["n10"], "the newest stays")
    }

    @Test("pages follow one another without gap or overlap")
    func paging() {
        let inbox = inbox(1...5)
        let first = inbox.page(before: nil, limit: 2)
        #expect(ids(first.items) == ["n5", "n4"] && first.hasMore)
        let second = inbox.page(before: .id("n4"), limit: 2)
        #expect(ids(second.items) == ["n3", "n2"] && second.hasMore)
        let third = inbox.page(before: .id("n2"), limit: 2)
        #expect(ids(third.items) == ["n1"] && !third.hasMore)
        #expect(inbox.page(before: .id("n1"), limit: 2) == Inbox.Page(items: [], hasMore: false))
        #expect(inbox.page(before: .id("gone"), limit: 2) == Inbox.Page(items: [], hasMore: false))
        #expect(ids(inbox.page(before: Inbox.Cursor("1970-01-01T00:00:03Z"), limit: 9).items) == ["n2", "n1"])
        #expect(Inbox().page(before: nil, limit: 3) == Inbox.Page(items: [], hasMore: false))
        #expect(Inbox().page(before: .id("x"), limit: 3) == Inbox.Page(items: [], hasMore: false))
        #expect(inbox.page(before: nil, limit: -1).items.isEmpty)
    }

    @Test("marking one as read")
    func markRead() {
        var inbox = inbox(1...3)
        #expect(inbox.markRead("n2") == .marked)
        #expect(inbox.markRead("n2") == .wasRead)
        #expect(inbox.markRead("n7") == .unknown)
        #expect(inbox.unreadCount == 2)
    }

    @Test("marking all as read leaves what came after the given one")
    func markAllRead() {
        var inbox = inbox(1...4)
        #expect(inbox.markAllRead(upTo: .id("n2")) == ["n2", "n1"])
        #expect(inbox.unreadCount == 2)
        #expect(inbox.markAllRead(upTo: .id("gone")) == [])
        #expect(inbox.markAllRead(upTo: Inbox.Cursor("1970-01-01T00:00:03Z")) == ["n3"])
        #expect(inbox.markAllRead(upTo: nil) == ["n4"])
        #expect(inbox.unreadCount == 0)
    }

    @Test("muted types are neither stored nor listed nor counted, and come back when unmuted")
    func muting() {
        var inbox = inbox(1...2)
        _ = inbox.insert(notification(3, type: "sale"), limits: Self.limits)
        inbox.mute(["sale"])
        #expect(ids(inbox.visibleItems) == ["n2", "n1"])
        #expect(inbox.unreadCount == 2)
        #expect(inbox.insert(notification(4, type: "sale"), limits: Self.limits) == .muted)
        #expect(inbox.markAllRead(upTo: nil) == ["n2", "n1"])
        inbox.mute([])
        #expect(ids(inbox.visibleItems) == ["n3", "n2", "n1"])
        #expect(inbox.unreadCount == 1)
    }

    @Test("whatever is done to an inbox, its laws hold", arguments: 0..<30)
    func laws(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var inbox = Inbox()
        var inserted = 0
        for _ in 0..<200 {
            let number = Int.random(in: 0..<40, using: &random)
            switch Int.random(in: 0..<6, using: &random) {
            case 0...2:
                let type = ["a", "b", "c"].randomElement(using: &random) ?? "a"
                let new = notification(number, second: Int64.random(in: 0..<50, using: &random), type: type)
                if inbox.insert(new, limits: Self.limits) == .inserted { inserted += 1 }
            case 3: _ = inbox.markRead("n\(number)")
            case 4: _ = inbox.markAllRead(upTo: Bool.random(using: &random) ? .id("n\(number)") : nil)
            default: inbox.mute(Bool.random(using: &random) ? ["a"] : [])
            }
            let times = inbox.items.map(\.notification.createdAt)
            #expect(times == times.sorted(by: >), "seed \(seed)")
            #expect(Set(ids(inbox.items)).count == inbox.items.count, "seed \(seed)")
            #expect(inbox.items.count <= Self.limits.count, "seed \(seed)")
            #expect(inbox.items.count + inbox.dropped == inserted, "seed \(seed)")
            #expect(inbox.unreadCount == inbox.page(before: nil, limit: 99).items.count { !$0.isRead }, "seed \(seed)")
            #expect(Inbox(json: inbox.json) == inbox, "seed \(seed)")
            #expect(Inbox(json: try JSONValue(parsing: inbox.json.serialized())) == inbox, "seed \(seed)")
        }
    }

    @Test("a document that is no inbox is not read as one", arguments: ["{}", "[]", #"{"items":[{"id":1}]}"#, "null"])
    func foreignDocument(text: String) throws {
        #expect(Inbox(json: try JSONValue(parsing: text)) == nil)
    }
}
