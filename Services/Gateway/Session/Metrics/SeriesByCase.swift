/// A series of a metric for each case of an enumeration, found by the case's place: what is counted with each message is
/// not looked up by a hash.
struct SeriesByCase<Case: CaseIterable, Series> {
    private let series: [Series]

    init(_ make: (Case) -> Series) {
        let cases = Array(Case.allCases)
        // What an enumeration without payloads is made of: one byte, which counts its cases as they are written.
        precondition(cases.indices.allSatisfy { SeriesByCase.place(cases[$0]) == $0 }, "its cases have payloads")
        series = cases.map(make)
    }

    subscript(_ value: Case) -> Series { series[SeriesByCase.place(value)] }

    private static func place(_ value: Case) -> Int {
        withUnsafeBytes(of: value) { bytes in bytes.count == 1 ? Int(bytes[0]) : -1 }
    }
}

extension SeriesByCase: Sendable where Series: Sendable {}
