internal import Deflate

/// permessage-deflate (RFC 7692), always without context takeover: no connection keeps a window, and a frame that many
/// connections get is compressed once.
enum PerMessageDeflate {
    /// Messages below this many bytes are sent as they are: they would hardly become smaller.
    static let minimumBytes = 128

    /// The value of the answer's `Sec-WebSocket-Extensions` to a client's offers, the first that can be met; nil when none
    /// can.
    static func accept(_ offers: [String]) -> String? {
        offers.lazy.compactMap(accept(offer:)).first
    }

    private static func accept(offer: String) -> String? {
        let parts = offer.split(separator: ";", omittingEmptySubsequences: false).map(trimmed)
        guard parts.first == "permessage-deflate" else { return nil }
        var answer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
        var seen: Set<String> = []
        for part in parts.dropFirst() {
            let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(trimmed)
            let value = pair.count == 2 ? pair[1].trimmingQuotes : nil
            guard let name = pair.first, seen.insert(name).inserted else { return nil }
            switch (name, value) {
            case ("server_no_context_takeover", nil), ("client_no_context_takeover", nil): break
            case ("client_max_window_bits", nil): break
            case ("client_max_window_bits", let bits?) where isWindow(bits): break
            // A smaller window would make this connection's frames others than everybody's.
            case ("server_max_window_bits", "15"): answer += "; server_max_window_bits=15"
            default: return nil
            }
        }
        return answer
    }

    private static func isWindow(_ text: String) -> Bool {
        ["8", "9", "10", "11", "12", "13", "14", "15"].contains(text)
    }

    private static func trimmed(_ text: some StringProtocol) -> String {
        let isSpace = { (character: Character) in character == " " || character == "\t" }
        var text = Substring(text.drop(while: isSpace))
        while let last = text.last, isSpace(last) { text.removeLast() }
        return String(text)
    }
}

extension String {
    fileprivate var trimmingQuotes: String {
        count >= 2 && hasPrefix("\"") && hasSuffix("\"") ? String(dropFirst().dropLast()) : self
    }
}

/// What compresses and unpacks the messages of one loop's connections. Belongs to that loop.
final class LoopCompressor {
    private let deflater = MessageDeflater()
    let inflater = MessageInflater()

    /// Nil for what would not become smaller.
    func deflate(_ message: [UInt8]) -> [UInt8]? {
        guard message.count >= PerMessageDeflate.minimumBytes, let compressed = deflater?.deflate(message),
            compressed.count < message.count
        else { return nil }
        return compressed
    }
}
