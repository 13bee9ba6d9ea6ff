import CommandLineCore
import JSON
import Testing

@Suite("Text on a terminal")
struct TerminalTests {
    let plain = Styler(isEnabled: false)
    let colored = Styler(isEnabled: true)

    @Test("control characters from the bus are written out, other text is left alone")
    func safe() {
        #expect(TerminalText.safe("a\u{1B}[2Jb\nc\td\u{7F}\u{9B}") == "a\\u{1B}[2Jb\\nc\\td\\u{7F}\\u{9B}")
        #expect(TerminalText.safe("right\u{202E}left") == "right\\u{202E}left")
        #expect(TerminalText.safe("Ólafur 日本 🦅") == "Ólafur 日本 🦅")
    }

    @Test("width counts columns, not characters")
    func width() {
        #expect(TerminalText.width("abc") == 3)
        #expect(TerminalText.width("日本") == 4)
        #expect(TerminalText.width("e\u{301}") == 1)
    }

    @Test("cut text is never wider than asked for", arguments: 0..<12)
    func truncated(columns: Int) {
        for text in ["swift", "日本語のテキスト", "a日b本c", ""] {
            #expect(TerminalText.width(TerminalText.truncated(text, to: columns)) <= columns)
        }
        #expect(TerminalText.truncated("swift", to: 5) == "swift")
        #expect(TerminalText.truncated("swifts", to: 5) == "swif…")
    }

    @Test("colours appear on a terminal only, and not when NO_COLOR or TERM=dumb say so")
    func styles() {
        #expect(Styler(isTerminal: true, environment: [:])("x", .red) == "\u{1B}[31mx\u{1B}[0m")
        #expect(Styler(isTerminal: false, environment: [:])("x", .red) == "x")
        #expect(Styler(isTerminal: true, environment: ["NO_COLOR": "1"])("x", .red) == "x")
        #expect(Styler(isTerminal: true, environment: ["NO_COLOR": ""])("x", .red) != "x")
        #expect(Styler(isTerminal: true, environment: ["TERM": "dumb"])("x", .red) == "x")
    }

    @Test("a table's columns are as wide as their widest cell, numbers stand to the right")
    func table() {
        var table = TextTable(columns: [.init("name"), .init("requests", .right), .init("note", maximumWidth: 6)])
        table.append(["gateway", "7", "fine"])
        table.append(["worker", "12345", "a\nlong note"])
        table.append(["x"])
        #expect(
            table.lines(plain) == [
                "NAME     REQUESTS  NOTE",
                "gateway         7  fine",
                "worker      12345  a\\nlo…",
                "x",
            ])
        #expect(table.lines(colored).count == 4)
    }

    @Test("durations are readable at every size")
    func durations() {
        #expect(DurationDisplay.text(.nanoseconds(850)) == "850 ns")
        #expect(DurationDisplay.text(.microseconds(3400)) == "3.4 ms")
        #expect(DurationDisplay.text(.milliseconds(12_100)) == "12.1 s")
        #expect(DurationDisplay.text(.seconds(245)) == "4 min 5 s")
        #expect(DurationDisplay.text(.seconds(90_000)) == "25 h 0 min")
        #expect(DurationDisplay.text(.seconds(-5)) == "0 s")
    }

    @Test("short JSON stays in one line, long JSON is indented, and both read back")
    func prettyJSON() throws {
        let pretty = PrettyJSON(styler: plain, columns: 40)
        let short: JSONValue = ["a": 1, "b": [true, nil]]
        #expect(pretty.text(short) == #"{"a": 1, "b": [true, null]}"#)
        let long: JSONValue = ["columns": ["first column", "second column", "third column"], "rows": 3, "empty": [:]]
        let text = pretty.text(long)
        #expect(
            text == """
                {
                  "columns": [
                    "first column",
                    "second column",
                    "third column"
                  ],
                  "rows": 3,
                  "empty": {}
                }
                """)
        #expect(try JSONValue(parsing: text) == long)
        #expect(pretty.text(["k": "\u{9B}2J"]).contains("\\u{9B}"))
    }
}

@Suite("The progress bar")
struct ProgressBarTests {
    let plain = Styler(isEnabled: false)

    @Test("fills from left to right and says how far it is")
    func fills() {
        let bar = ProgressBar(label: "dataset.summarize", percent: 50, message: "5 of 10 MB")
        let line = bar.line(columns: 100, glyphs: .ascii, styler: plain)
        #expect(line == "dataset.summarize  ####################--------------------   50 %  5 of 10 MB")
    }

    @Test("fits every width, and keeps its number in all but the narrowest", arguments: 1..<140)
    func fits(columns: Int) {
        let bar = ProgressBar(label: "task", percent: 42.9, message: "reading a rather long file of orders")
        let line = bar.line(columns: columns, glyphs: .unicode, styler: plain)
        #expect(TerminalText.width(line) <= max(columns, 7))
        #expect(line.contains("42 %"))
    }

    @Test("what is no percentage counts as the nearer end")
    func odd() {
        func line(_ percent: Double) -> String {
            ProgressBar(label: "", percent: percent).line(columns: 20, glyphs: .ascii, styler: plain)
        }
        #expect(line(.nan) == line(0))
        #expect(line(-.infinity) == line(0))
        #expect(line(1e300) == line(100))
        #expect(line(99.99).contains(" 99 %"))
    }

    @Test("a message with control characters cannot leave the line")
    func harmless() {
        let bar = ProgressBar(label: "a\nb", percent: 1, message: "\u{1B}[2J\r\n")
        let line = bar.line(columns: 120, glyphs: .ascii, styler: plain)
        #expect(!line.unicodeScalars.contains { $0.value < 0x20 })
    }

    @Test("line characters only where the locale can show them")
    func glyphs() {
        #expect(ProgressBar.Glyphs(environment: ["LANG": "de_DE.UTF-8"]) == .unicode)
        #expect(ProgressBar.Glyphs(environment: ["LANG": "C.utf8"]) == .unicode)
        #expect(ProgressBar.Glyphs(environment: ["LANG": "de_DE.UTF-8", "LC_ALL": "C"]) == .ascii)
        #expect(ProgressBar.Glyphs(environment: [:]) == .ascii)
    }
}
