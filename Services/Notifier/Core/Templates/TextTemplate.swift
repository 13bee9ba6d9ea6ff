package import JSON
private import Mustache

/// A text with the event's fields in it, written in mustache: `Order {{order_id}} is {{status}}`.
///
/// Notifications are text, not HTML: nothing is escaped. A variable that is missing, `null`, an object or an array makes
/// rendering fail instead of leaving a hole in what people read; optional parts go into sections,
/// `{{#note}} ({{note}}){{/note}}`. Partials, inheritance and other delimiters do not exist here.
package struct TextTemplate: Sendable, Equatable, CustomStringConvertible {
    package let source: String
    private let compiled: MustacheTemplate

    /// The longest text that is rendered, in bytes.
    package static let maximumLength = 4096

    package init(_ source: String) throws(TemplateSyntaxError) {
        for (tag, name) in TextTemplate.refusedTags where source.contains(tag) {
            throw TemplateSyntaxError(message: "\(name) (\(tag)) cannot be used here")
        }
        // `.name` is looked for in the innermost object only, and would be silently empty.
        guard source.firstMatch(of: /\{\{[{&#^\/]?\s*\.[^\s}]/) == nil else {
            throw TemplateSyntaxError(message: "a field's name cannot begin with a dot")
        }
        // The parser takes a text that ends here for a whole one.
        guard !source.hasSuffix("{{") else { throw TemplateSyntaxError(message: "the last tag is not closed") }
        do {
            compiled = try MustacheTemplate(string: TextTemplate.plainText + source)
        } catch {
            throw TemplateSyntaxError(error, offset: TextTemplate.plainText.count)
        }
        self.source = source
    }

    /// The text for an event with these fields.
    package func render(_ fields: JSONObject) throws(TemplateError) -> String {
        let problems = TemplateProblems()
        let text = compiled.render(TemplateScope(root: fields, problems: problems))
        if let first = problems.messages.first { throw TemplateError(message: first) }
        guard text.utf8.count <= TextTemplate.maximumLength else {
            throw TemplateError(message: "the text is longer than \(TextTemplate.maximumLength) bytes")
        }
        return text
    }

    package static func == (left: TextTemplate, right: TextTemplate) -> Bool { left.source == right.source }

    package var description: String { source }

    private static let plainText = "{{% CONTENT_TYPE:TEXT}}"

    // None of them would have an effect without a library of templates; silently empty is worse than refused.
    private static let refusedTags = [
        ("{{>", "a partial"), ("{{<", "an inherited template"), ("{{$", "a block"), ("{{=", "a change of delimiters"),
        ("{{%", "a pragma"),
    ]
}

/// Why a text is not a template.
package struct TemplateSyntaxError: Error, Equatable, CustomStringConvertible {
    package let message: String

    package var description: String { message }
}

/// Why a template has no text for an event. Names fields, never their values.
package struct TemplateError: Error, Equatable, CustomStringConvertible {
    package let message: String

    package var description: String { message }
}

extension TemplateSyntaxError {
    /// Puts the parser's error into words; `offset` is how many characters of the first line are not the author's.
    fileprivate init(_ error: any Error, offset: Int) {
        guard let error = error as? MustacheTemplate.ParserError else {
            self.init(message: "not a mustache template")
            return
        }
        let reason =
            switch error.error as? MustacheTemplate.Error {
            case .sectionCloseNameIncorrect: "a section is closed that was not opened last"
            case .unfinishedName: "a tag is not closed or names no field"
            case .expectedSectionEnd: "a section is not closed"
            default: "not a mustache template"
            }
        let line = error.context.lineNumber
        let column = error.context.columnNumber - (line == 1 ? offset : 0)
        self.init(message: "\(reason) (line \(line), column \(max(column, 1)))")
    }
}
