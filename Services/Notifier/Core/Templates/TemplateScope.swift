internal import JSON
internal import Mustache

/// What went wrong while one text was rendered. Belongs to that rendering and its thread.
final class TemplateProblems {
    private(set) var messages: [String] = []

    func add(_ message: String) { messages.append(message) }
}

/// An object of the event as the template engine sees it.
///
/// The engine renders what it does not find as nothing. So a name that no object has is answered with
/// ``TemplateGap``, which is empty for a section and a problem for a variable. Only the root may answer a name of a section's
/// body so: an inner object must answer nil for the engine to go on looking outside. With `{{order.total}}` nobody
/// looks further, so there the object that `order` names answers with the gap. The two differ in that the engine asks
/// ``isNull`` of an object before it enters a section on it.
final class TemplateScope: MustacheParent, MustacheCustomRenderable {
    private let fields: JSONObject
    private let problems: TemplateProblems
    private let path: [String]
    private let isRoot: Bool
    private var isEntered: Bool

    /// The event itself.
    convenience init(root fields: JSONObject, problems: TemplateProblems) {
        self.init(fields, problems: problems, path: [], isRoot: true, isEntered: true)
    }

    private init(_ fields: JSONObject, problems: TemplateProblems, path: [String], isRoot: Bool, isEntered: Bool) {
        self.fields = fields
        self.problems = problems
        self.path = path
        self.isRoot = isRoot
        self.isEntered = isEntered
    }

    func child(named name: String) -> Any? {
        let path = self.path + [name]
        if let value = fields[name] { return TemplateScope.represent(value, problems: problems, path: path) }
        return isEntered && !isRoot ? nil : TemplateGap(problems: problems, path: path, reason: "is missing")
    }

    var isNull: Bool {
        isEntered = true
        return false
    }

    var renderText: String {
        problems.add("\(isRoot ? "the event" : "the field \(path.joined(separator: "."))") is an object, not text")
        return ""
    }

    /// `isEntered`: for elements of an array, which a section enters without asking.
    static func represent(
        _ value: JSONValue, problems: TemplateProblems, path: [String], isEntered: Bool = false
    ) -> Any {
        func text(_ text: String) -> TemplateText {
            TemplateText(text, problems: problems, path: path, isEntered: isEntered)
        }
        switch value {
        case .null: return TemplateGap(problems: problems, path: path, reason: "is null")
        case .bool(let value): return value
        case .integer(let value): return text(String(value))
        case .double(let value): return text(Int64(exactly: value).map { String($0) } ?? String(value))
        case .string(let value): return text(value)
        case .array(let elements): return TemplateList(elements: elements, problems: problems, path: path)
        case .object(let fields):
            return TemplateScope(fields, problems: problems, path: path, isRoot: false, isEntered: isEntered)
        }
    }
}

/// A field that is missing or null: nothing to a section, a problem to a variable.
struct TemplateGap: MustacheCustomRenderable, MustacheTransformable, MustacheParent {
    let problems: TemplateProblems
    let path: [String]
    let reason: String

    var isNull: Bool { true }

    var renderText: String {
        problems.add("the field \(path.joined(separator: ".")) \(reason)")
        return ""
    }

    func transform(_ name: String) -> Any? { self }

    func child(named name: String) -> Any? { self }
}

/// A string or number. Like an object it must answer nil once a section is entered on it.
final class TemplateText: MustacheParent, MustacheCustomRenderable, MustacheTransformable {
    let renderText: String
    private let problems: TemplateProblems
    private let path: [String]
    private var isEntered: Bool

    init(_ text: String, problems: TemplateProblems, path: [String], isEntered: Bool = false) {
        renderText = text
        self.problems = problems
        self.path = path
        self.isEntered = isEntered
    }

    var isNull: Bool {
        isEntered = true
        return false
    }

    func child(named name: String) -> Any? {
        isEntered ? nil : TemplateGap(problems: problems, path: path + [name], reason: "is missing")
    }

    func transform(_ name: String) -> Any? {
        switch name {
        case "capitalized", "lowercased", "uppercased", "reversed":
            guard let transformed = renderText.transform(name) as? String else { return self }
            return TemplateText(transformed, problems: problems, path: path)
        case "empty": return renderText.isEmpty
        default:
            problems.add("there is no transform \(name) for the field \(path.joined(separator: "."))")
            return self
        }
    }
}

/// An array: a section is rendered once for each element.
struct TemplateList: MustacheSequence, MustacheParent, MustacheCustomRenderable {
    let elements: [JSONValue]
    let problems: TemplateProblems
    let path: [String]

    var isNull: Bool { elements.isEmpty }

    var renderText: String {
        problems.add("the field \(path.joined(separator: ".")) is an array, not text")
        return ""
    }

    /// Only an empty one is ever entered, by the section for that.
    func child(named name: String) -> Any? {
        elements.isEmpty ? nil : TemplateGap(problems: problems, path: path + [name], reason: "is missing")
    }

    func makeIterator() -> AnyIterator<Any> {
        var rest = elements.makeIterator()
        let (problems, path) = (problems, path)
        return AnyIterator {
            rest.next().map { TemplateScope.represent($0, problems: problems, path: path, isEntered: true) }
        }
    }
}
