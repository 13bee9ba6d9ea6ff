/// Measures a short operation: nanoseconds per call, the best and the median of several rounds.
///
/// The best round is what the code costs; the median tells how quiet the machine was.
func measure(_ name: String, bytes: Int? = nil, _ operation: () -> Int) {
    var sink = 0
    var calls = 1
    let clock = ContinuousClock()
    // Rounds of about 100 ms.
    while true {
        let time = clock.measure { for _ in 0..<calls { sink &+= operation() } }
        if time > .milliseconds(100) { break }
        calls *= 2
    }
    let rounds = (0..<9).map { _ in
        clock.measure { for _ in 0..<calls { sink &+= operation() } } / .nanoseconds(calls)
    }.sorted()
    let best = rounds[0], median = rounds[rounds.count / 2]
    var line =
        name.padded(to: 44) + "\(rounded(best)) ns".leftPadded(to: 14) + "\(rounded(median)) ns".leftPadded(to: 14)
    if let bytes { line += "\(rounded(Double(bytes) / best * 1000)) MB/s".leftPadded(to: 16) }
    print(line)
    // Keeps the compiler from leaving the work out.
    if sink == .min { print(sink) }
}

/// Three digits that mean something.
private func rounded(_ value: Double) -> String {
    value >= 100 ? "\(Int(value.rounded()))" : "\((value * 10).rounded() / 10)"
}

extension String {
    fileprivate func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
    fileprivate func leftPadded(to width: Int) -> String { String(repeating: " ", count: max(0, width - count)) + self }
}
