internal import Synchronization

/// Keeps every metric of the process and writes them in Prometheus's text format 0.0.4.
///
/// Counting is a lock of its own per series; writing takes each of them for a moment.
public final class PrometheusRegistry: Sendable {
    enum Kind: String {
        case counter
        case gauge
        case histogram
    }

    private struct Family {
        let kind: Kind
        var series: [String: any PrometheusSeries] = [:]
    }

    private let families = Mutex<[String: Family]>([:])
    private let help: [String: String]

    /// - Parameter help: what each metric means, by name, for those who look at the figures themselves.
    public init(help: [String: String] = [:]) { self.help = help }

    /// The series of a name and labels, made if it is not there. Asking for a name as two kinds gives each its own
    /// series, and the first kind is the one that is written.
    func series<Series: PrometheusSeries>(
        _ label: String, _ dimensions: [(String, String)], kind: Kind, make: () -> Series
    ) -> Series {
        let name = PrometheusRegistry.sanitized(label)
        let labels = PrometheusRegistry.labels(dimensions)
        return families.withLock { families in
            if let existing = families[name]?.series[labels] as? Series { return existing }
            let created = make()
            families[name, default: Family(kind: kind)].series[labels] = created
            return created
        }
    }

    func remove(_ series: any PrometheusSeries) {
        families.withLock { families in
            for (name, family) in families {
                for (labels, member) in family.series where member === series {
                    families[name]?.series[labels] = nil
                }
            }
        }
    }

    /// All metrics, by name.
    public func exposition() -> String {
        let all = families.withLock { $0 }
        var text = ""
        for (name, family) in all.sorted(by: { $0.key < $1.key }) where !family.series.isEmpty {
            if let meaning = help[name] {
                let escaped = meaning.replacing("\\", with: "\\\\").replacing("\n", with: "\\n")
                text += "# HELP \(name) \(escaped)\n"
            }
            text += "# TYPE \(name) \(family.kind.rawValue)\n"
            for (labels, series) in family.series.sorted(by: { $0.key < $1.key }) {
                series.write(name: name, labels: labels, to: &text)
            }
        }
        return text
    }

    /// Letters, digits and `_`; a dot or dash in a metric's name becomes `_`.
    private static func sanitized(_ name: String) -> String {
        let mapped = String(
            name.unicodeScalars.map {
                $0.isASCII && ($0.properties.isAlphabetic || ("0"..."9").contains($0)) ? Character($0) : "_"
            })
        return mapped.first?.isNumber ?? true ? "_" + mapped : mapped
    }

    private static func labels(_ dimensions: [(String, String)]) -> String {
        dimensions.map { name, value in
            let escaped = value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
            return "\(sanitized(name))=\"\(escaped)\""
        }.joined(separator: ",")
    }
}

/// One time series of a family.
protocol PrometheusSeries: AnyObject, Sendable {
    func write(name: String, labels: String, to text: inout String)
}

/// Joins a series's labels and one more into braces.
func prometheusBraces(_ labels: String, _ more: String = "") -> String {
    let all = [labels, more].filter { !$0.isEmpty }.joined(separator: ",")
    return all.isEmpty ? "" : "{\(all)}"
}
