import CoreMetrics
import Events
import JSON
import Logging
import Testing

@testable import ServiceKit

@Suite struct ObservabilityTests {
    @Test("metrics are written in Prometheus's form")
    func exposition() {
        let registry = PrometheusRegistry(help: ["demo_level": "how high,\nand how \\"])
        let factory = PrometheusMetricsFactory(registry: registry)
        factory.makeCounter(label: "demo.requests-total", dimensions: [("kind", "a\"b\\c\nd")]).increment(by: 3)
        factory.makeCounter(label: "demo.requests-total", dimensions: [("kind", "a\"b\\c\nd")]).increment(by: 2)
        factory.makeMeter(label: "demo_level", dimensions: []).set(1.5)
        let timer = factory.makeTimer(label: "demo_seconds", dimensions: [])
        timer.recordNanoseconds(2_000_000)
        timer.recordNanoseconds(100_000_000_000)
        let text = registry.exposition()
        #expect(text.contains("# TYPE demo_requests_total counter\n"))
        #expect(text.contains(#"demo_requests_total{kind="a\"b\\c\nd"} 5"#))
        #expect(text.contains("# HELP demo_level how high,\\nand how \\\\\n# TYPE demo_level gauge\ndemo_level 1.5\n"))
        #expect(text.contains("# TYPE demo_seconds histogram\n"))
        #expect(text.contains(#"demo_seconds_bucket{le="0.0025"} 1"#))
        #expect(text.contains(#"demo_seconds_bucket{le="+Inf"} 2"#))
        #expect(text.contains("demo_seconds_count 2\n"))
    }

    @Test("a log line is one line, whatever came from outside")
    func logInjection() throws {
        let now = Timestamp(seconds: 0)
        let metadata: Logger.Metadata = ["user.id": "x\nforged", "path": "a b", "n": "1"]
        let text = ServiceLogHandler.text(.info, "demo", "hello", metadata, now)
        #expect(text == #"1970-01-01T00:00:00Z info demo: hello n=1 path="a b" user.id=x\nforged"#)
        let json = try JSONValue(parsing: ServiceLogHandler.json(.info, "demo", "hello", metadata, now))
        #expect(json["user.id"] == "x\nforged")
        #expect(json["message"] == "hello")
    }

    @Test("ready is when there are conditions and all of them hold")
    func readiness() {
        let readiness = Readiness()
        #expect(!readiness.isReady)
        readiness.set("bus", true)
        #expect(readiness.isReady)
        readiness.set("streams", false)
        #expect(!readiness.isReady)
    }
}
