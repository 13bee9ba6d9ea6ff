import Foundation
import GatewayApp
import Testing

@Suite struct MetricHelpTests {
    @Test("what /metrics says of a metric is documented")
    func documented() throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let document = try String(contentsOf: folder.appending(path: "docs/metrics.md"), encoding: .utf8)
        for name in GatewayConfiguration.metrics.keys {
            #expect(document.contains("`\(name)`") || document.contains("`\(name){"), "\(name)")
        }
        #expect(GatewayConfiguration.metrics.count > 20)
    }
}
