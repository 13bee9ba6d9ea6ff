import JSON
import NotifierCore
import Testing

@Suite struct TextTemplateTests {
    static let fields: JSONObject = [
        "order_id": 1001, "status": "shipped", "price": 19.9, "whole": 5.0, "express": true, "gift": false,
        "note": nil, "html": "<b>Tom & \"Jerry\"</b>", "text": "own", "empty": [],
        "customer": ["name": "Åse", "address": ["city": "Oslo"]], "items": [["name": "pen"], ["name": "ink"]],
        "tags": ["a", "b"],
    ]

    @Test(
        "fields of the event stand in the text as they are",
        arguments: [
            ("Order {{order_id}}", "Order 1001"),
            ("{{ status }}!", "shipped!"),
            ("{{price}} {{whole}} {{express}}", "19.9 5 true"),
            ("{{html}}", "<b>Tom & \"Jerry\"</b>"),
            ("{{{html}}}{{&html}}", "<b>Tom & \"Jerry\"</b><b>Tom & \"Jerry\"</b>"),
            ("{{customer.name}} of {{customer.address.city}}", "Åse of Oslo"),
            ("{{#customer}}{{name}} ({{status}}){{/customer}}", "Åse (shipped)"),
            ("{{#items}}{{name}},{{/items}}", "pen,ink,"),
            ("{{#items}}{{name}}:{{status}} {{/items}}", "pen:shipped ink:shipped "),
            ("{{#tags}}{{.}}{{/tags}}", "ab"),
            ("{{^empty}}none, {{status}}{{/empty}}", "none, shipped"),
            ("{{#express}}fast{{/express}}{{#gift}}wrapped{{/gift}}", "fast"),
            ("{{#ghost}}{{ghost}}{{/ghost}}.", "."),
            ("{{^ghost}}no ghost{{/ghost}}", "no ghost"),
            ("{{#note}}{{note}}{{/note}}{{^note}}-{{/note}}", "-"),
            ("{{#status}}{{text}}{{/status}}", "own"),
            ("{{uppercased(status)}}", "SHIPPED"),
            ("{{! a comment }}x", "x"),
            ("plain { text }", "plain { text }"),
        ])
    func rendering(source: String, expected: String) throws {
        #expect(try TextTemplate(source).render(Self.fields) == expected)
    }

    @Test(
        "a hole in the text is an error that names the field",
        arguments: [
            ("{{ghost}}", "the field ghost is missing"),
            ("{{note}}", "the field note is null"),
            ("{{customer}}", "the field customer is an object, not text"),
            ("{{tags}}", "the field tags is an array, not text"),
            ("{{customer.ghost}}", "the field customer.ghost is missing"),
            ("{{customer.status}}", "the field customer.status is missing"),
            ("{{ghost.name}}", "the field ghost is missing"),
            ("{{note.name}}", "the field note is null"),
            ("{{status.name}}", "the field status.name is missing"),
            ("{{#customer}}{{ghost}}{{/customer}}", "the field ghost is missing"),
            ("{{#items}}{{price}}{{ghost}}{{/items}}", "the field ghost is missing"),
            ("{{uppercased(ghost)}}", "the field ghost is missing"),
            ("{{sorted(status)}}", "there is no transform sorted for the field status"),
            ("{{.}}", "the event is an object, not text"),
        ])
    func holes(source: String, expected: String) throws {
        let template = try TextTemplate(source)
        let error = #expect(throws: TemplateError.self) { try template.render(Self.fields) }
        #expect(error?.message == expected)
    }

    @Test(
        "a text that is no template, or asks for what is not there, is refused",
        arguments: [
            "{{", "{{status", "{{#open}}", "{{#a}}{{/b}}", "{{/a}}", "{{>partial}}", "{{<layout}}{{/layout}}",
            "{{$block}}{{/block}}", "{{=<% %>=}}", "{{% CONTENT_TYPE:HTML}}", "{{a b}}", "{{.ghost}}",
        ])
    func syntaxErrors(source: String) {
        #expect(throws: TemplateSyntaxError.self) { try TextTemplate(source) }
    }

    @Test("the place of a mistake is counted in the author's own text")
    func place() {
        let error = #expect(throws: TemplateSyntaxError.self) { try TextTemplate("{{a b}}") }
        #expect(error?.message == "a tag is not closed or names no field (line 1, column 5)")
    }

    @Test("what a field holds is never read as a template")
    func noInjection() throws {
        #expect(try TextTemplate("{{a}}").render(["a": "{{b}}", "b": "secret"]) == "{{b}}")
    }

    @Test("a text that is too long is an error")
    func length() throws {
        let long = String(repeating: "x", count: TextTemplate.maximumLength + 1)
        #expect(throws: TemplateError.self) { try TextTemplate("{{a}}").render(["a": .string(long)]) }
    }
}
