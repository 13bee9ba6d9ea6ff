import GatewayWire
import Testing

@Suite struct TraceContextTests {
    private static let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    @Test("a traceparent and its tracestate are carried as they came")
    func valid() {
        let trace = TraceContext(parent: Self.parent, state: "congo=t61rcWkgMzE")
        #expect(trace?.parent == Self.parent)
        #expect(trace?.state == "congo=t61rcWkgMzE")
        #expect(TraceContext(parent: "cc" + Self.parent.dropFirst(2) + "-more") != nil)
    }

    @Test(
        "what is no traceparent is ignored",
        arguments: [
            "", "00", "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-\r\nApus-User: 1",
            "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ])
    func invalid(parent: String) { #expect(TraceContext(parent: parent) == nil) }

    @Test("a tracestate that cannot be a header's value is left out", arguments: ["", "a=\r\nb", "é=1"])
    func invalidState(state: String) {
        let trace = TraceContext(parent: Self.parent, state: state)
        #expect(trace != nil && trace?.state == nil)
        #expect(TraceContext(parent: Self.parent, state: String(repeating: "a", count: 513))?.state == nil)
    }
}
