/// The CSV file that `apus dev` makes for the task `dataset.summarize`: orders with what real files have, such as missing
/// values, quoted fields and a name in more than ASCII.
public struct SampleDataset: Sendable {
    /// Enough for about 4 MB: a progress bar that one can watch.
    public static let rows = 60_000

    public static let header = "order_id,customer,country,product,quantity,unit_price,discount,ordered_at,comment\n"

    private var generator: SplitMix
    private var next = 1

    /// The same seed gives the same file.
    public init(seed: UInt64) { generator = SplitMix(state: seed) }

    private static let customers = [
        "Ada", "Grace", "Edsger", "Barbara", "Donald", "Frances", "Niklaus", "Ólafur", "Søren",
    ]
    private static let countries = ["NL", "DE", "FR", "SE", "IT", "PT", "IS"]
    private static let products = ["Field notebook", "Binoculars 8x42", "Nest box", "Rain jacket", "Scope, 20-60x80"]
    private static let comments = ["", "", "", "gift", "leave at the door", "\"fragile\", please", "second\nline"]

    /// The next line, with its line break.
    public mutating func line() -> String {
        let quantity = 1 + below(12)
        let cents = 450 + below(24_000)
        let discount = below(4) == 0 ? "0.\(5 + below(20))" : ""
        let day = below(365)
        let fields = [
            String(next), Self.customers[below(Self.customers.count)], Self.countries[below(Self.countries.count)],
            Self.products[below(Self.products.count)], String(quantity),
            "\(cents / 100).\(cents % 100 < 10 ? "0" : "")\(cents % 100)", discount,
            "2026-\(padded(1 + day / 31))-\(padded(1 + day % 28))T\(padded(below(24))):\(padded(below(60))):00Z",
            Self.comments[below(Self.comments.count)],
        ]
        next += 1
        return fields.map(Self.field).joined(separator: ",") + "\n"
    }

    /// RFC 4180: quoted where needed, with quotation marks doubled.
    static func field(_ text: String) -> String {
        let needsQuotes = text.utf8.contains { $0 == UInt8(ascii: ",") || $0 == UInt8(ascii: "\"") || $0 == 10 }
        return needsQuotes ? "\"\(text.replacing("\"", with: "\"\""))\"" : text
    }

    private mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &generator) }

    private func padded(_ value: Int) -> String { value < 10 ? "0\(value)" : String(value) }
}

/// SplitMix64: small, and the same on every machine.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
