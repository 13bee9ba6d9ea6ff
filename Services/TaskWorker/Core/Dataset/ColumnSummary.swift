package import JSON

/// What is known of one column after any number of its values, in constant memory.
///
/// A value is *missing* if it is empty or only spaces and tabs. A column whose other values are all numbers (see
/// ``DecimalNumber``) is a column of numbers; in such a column alone the usual markers for a missing number (`NA`, `NaN`,
/// `null`, …) are missing too, whereas among words `NA` is a word, for instance Namibia. Values differ when their text
/// does: `1` and `1.0` are two.
package struct ColumnSummary {
    package let name: String
    /// Values that are not empty; markers among them.
    private var present: UInt64 = 0
    private var distinct: DistinctCounter
    /// nil once a value was neither a number nor a marker.
    private var numbers: NumberSummary?
    private var markers: UInt64 = 0
    /// Which of ``markerTexts`` have been seen.
    private var markersSeen: UInt32 = 0

    /// - Parameter limit: up to how many different values, and values for the quartiles, the results are exact.
    package init(name: String, limit: Int) {
        self.name = name
        distinct = DistinctCounter(limit: limit)
        numbers = NumberSummary(limit: limit)
    }

    package mutating func add(_ bytes: UnsafeBufferPointer<UInt8>) {
        if DecimalNumber.isBlank(bytes) { return }
        present += 1
        distinct.insert(FieldHash(bytes))
        guard numbers != nil else { return }
        if let number = DecimalNumber.parse(bytes) {
            numbers?.add(number)
        } else if let marker = ColumnSummary.marker(bytes) {
            markers += 1
            markersSeen |= 1 << UInt32(marker)
        } else {
            numbers = nil
        }
    }

    /// The column's part of the result.
    package mutating func json(rows: UInt64) -> JSONValue {
        let isNumeric = (numbers?.count ?? 0) > 0
        let count = isNumeric ? present - markers : present
        let different = isNumeric ? max(0, distinct.count - markersSeen.nonzeroBitCount) : distinct.count
        var members: JSONObject = [
            "name": .string(name),
            "count": .integer(Int64(clamping: count)),
            "missing": .integer(Int64(clamping: rows >= count ? rows - count : 0)),
            "distinct": .integer(Int64(different)),
            "distinct_exact": .bool(distinct.isExact),
        ]
        let numeric: JSONObject = isNumeric ? numbers?.json() ?? [:] : [:]
        for key in ["min", "max", "mean", "stddev", "quartiles"] { members[key] = numeric[key] ?? .null }
        members["quartiles_exact"] = numeric["quartiles_exact"]
        return .object(members)
    }

    private static let markerTexts: [[UInt8]] = [
        "#N/A", "#NA", "-NaN", "-nan", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
    ].map { Array($0.utf8) }

    private static func marker(_ bytes: UnsafeBufferPointer<UInt8>) -> Int? {
        guard bytes.count <= 4 else { return nil }
        return markerTexts.firstIndex { bytes.elementsEqual($0) }
    }
}

/// Count, extremes, mean, standard deviation and quartiles of a stream of numbers.
private struct NumberSummary {
    private(set) var count: UInt64 = 0
    private var minimum = Double.infinity
    private var maximum = -Double.infinity
    private var mean = 0.0
    /// The sum of the squared distances from the mean, kept up to date by Welford's method.
    private var squares = 0.0
    private var quantiles: Quantiles

    init(limit: Int) { quantiles = Quantiles(limit: limit) }

    mutating func add(_ value: Double) {
        count += 1
        minimum = min(minimum, value)
        maximum = max(maximum, value)
        let distance = value - mean
        mean += distance / Double(count)
        squares += distance * (value - mean)
        quantiles.add(value)
    }

    mutating func json() -> JSONObject {
        let deviation = count > 1 ? (squares / Double(count - 1)).squareRoot() : .nan
        return [
            "min": NumberSummary.json(minimum),
            "max": NumberSummary.json(maximum),
            "mean": NumberSummary.json(mean),
            "stddev": NumberSummary.json(deviation),
            "quartiles": quantiles.quartiles().map { .array($0.map(NumberSummary.json)) } ?? .null,
            "quartiles_exact": .bool(quantiles.isExact),
        ]
    }

    /// A whole number without a fraction; null for what overflowed or does not exist, as the deviation of one value.
    private static func json(_ value: Double) -> JSONValue {
        guard value.isFinite else { return .null }
        if abs(value) < 0x1p53, let whole = Int64(exactly: value) { return .integer(whole) }
        return .double(value)
    }
}
