import Foundation

/// Usage: Microbenchmarks THRESHOLDS [--record]. Exits 1 if something is dearer than its threshold allows.
@main struct Microbenchmarks {
    static func main() async throws {
        guard CommandLine.arguments.count > 1 else {
            print("usage: Microbenchmarks THRESHOLDS [--record]")
            exit(64)
        }
        let file = CommandLine.arguments[1]
        let measurements = try await measureOperations()
        if CommandLine.arguments.contains("--record") {
            try Thresholds.record(measurements, file: file)
        }
        let thresholds = try Thresholds(file: file)
        print(row("operation", "best", "median", "throughput", "of its usual cost"))
        var regressions = 0
        for measurement in measurements.map(thresholds.settled) {
            let verdict: String
            switch thresholds.verdict(measurement) {
            case .asUsual(let factor): verdict = hundredths(factor)
            case .new: verdict = "new: make it known with --record"
            case .regression(let factor):
                regressions += 1
                verdict = "\(hundredths(factor)) REGRESSION"
            }
            let throughput = measurement.bytes.map { "\(rounded(Double($0) / measurement.best * 1000)) MB/s" } ?? ""
            print(
                row(
                    measurement.name, "\(rounded(measurement.best)) ns", "\(rounded(measurement.median)) ns",
                    throughput,
                    verdict))
        }
        guard regressions == 0 else {
            print("\(regressions) dearer than \(Thresholds.tolerance) times what is usual: see \(file)")
            exit(1)
        }
    }

    private static func row(_ name: String, _ columns: String...) -> String {
        columns.reduce(name + spaces(44 - name.count)) { $0 + spaces(14 - $1.count) + $1 }
    }

    private static func spaces(_ count: Int) -> String { String(repeating: " ", count: max(1, count)) }

    /// Three digits that mean something.
    private static func rounded(_ value: Double) -> String {
        value >= 100 ? "\(Int(value.rounded()))" : "\((value * 10).rounded() / 10)"
    }

    private static func hundredths(_ value: Double) -> String { String(format: "%.2f", value) }
}
