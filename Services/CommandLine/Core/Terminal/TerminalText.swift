/// Text on a terminal: made harmless, measured in columns, styled.
public enum TerminalText {
    /// `text` with every control character written out (`\n`, `\u{1B}`), so that what came over the bus can neither
    /// move the cursor nor start another line.
    public static func safe(_ text: some StringProtocol) -> String {
        guard text.unicodeScalars.contains(where: isControl) else { return String(text) }
        var output = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": output += "\\n"
            case "\r": output += "\\r"
            case "\t": output += "\\t"
            case _ where isControl(scalar): output += "\\u{\(String(scalar.value, radix: 16, uppercase: true))}"
            default: output.unicodeScalars.append(scalar)
            }
        }
        return output
    }

    /// C0, DEL, C1 and the marks that turn the direction of text.
    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F..<0xA0, 0x202A...0x202E, 0x2066...0x2069: true
        default: false
        }
    }

    /// How many columns `text`, which holds no control characters, takes on a terminal.
    public static func width(_ text: some StringProtocol) -> Int {
        text.reduce(0) { $0 + columns($1) }
    }

    private static func columns(_ character: Character) -> Int {
        guard let scalar = character.unicodeScalars.first else { return 0 }
        switch scalar.value {
        case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F,
            0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1F64F, 0x1F900...0x1F9FF, 0x20000...0x3FFFD:
            return 2
        default: return scalar.properties.generalCategory == .nonspacingMark ? 0 : 1
        }
    }

    /// `text` cut to `columns`, ending in `…` where something was left out.
    public static func truncated(_ text: String, to columns: Int) -> String {
        guard width(text) > columns else { return text }
        guard columns > 0 else { return "" }
        var output = ""
        var used = 0
        for character in text {
            let next = self.columns(character)
            guard used + next <= columns - 1 else { break }
            output.append(character)
            used += next
        }
        return output + "…"
    }

    /// `text` filled up with spaces to `columns`.
    public static func padded(_ text: String, to columns: Int, alignment: Alignment = .left) -> String {
        let fill = String(repeating: " ", count: max(0, columns - width(text)))
        return alignment == .left ? text + fill : fill + text
    }

    public enum Alignment: Sendable {
        case left
        case right
    }
}
