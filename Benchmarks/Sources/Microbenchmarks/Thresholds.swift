import Foundation
import JSON

/// What operations usually cost, in calibration loops: a file in the repository.
struct Thresholds {
    /// So much dearer than usual is a regression. Noise of a busy machine stays below it.
    static let tolerance = 1.75
    /// So often something may be measured until it is within its threshold.
    static let attempts = 4

    private let usual: [String: Double]

    init(file: String) throws {
        let value = try JSONValue(parsing: Array(Data(contentsOf: URL(filePath: file))))
        usual = Dictionary(
            (value.objectValue ?? [:]).compactMap { member in member.value.doubleValue.map { (member.key, $0) } },
            uniquingKeysWith: { first, _ in first })
    }

    enum Verdict {
        case asUsual(Double)
        case regression(Double)
        /// The file does not know it.
        case new
    }

    /// The first of some attempts that is no regression, or the last.
    func settled(_ measurement: Measurement) -> Measurement {
        var measurement = measurement
        for _ in 1..<Thresholds.attempts {
            guard case .regression = verdict(measurement) else { break }
            measurement = measurement.again()
        }
        return measurement
    }

    func verdict(_ measurement: Measurement) -> Verdict {
        guard let usual = usual[measurement.name] else { return .new }
        let factor = measurement.ratio / usual
        return factor > Thresholds.tolerance ? .regression(factor) : .asUsual(factor)
    }

    /// Puts what was measured now in the place of what was usual.
    static func record(_ measurements: [Measurement], file: String) throws {
        let lines = measurements.map { measurement in
            "  \"\(measurement.name)\": \((measurement.ratio * 1000).rounded() / 1000)"
        }
        try "{\n\(lines.joined(separator: ",\n"))\n}\n".write(toFile: file, atomically: true, encoding: .utf8)
    }
}
