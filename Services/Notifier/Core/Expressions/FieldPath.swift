package import JSON

/// Where in an event a value stands: `quantity`, or `customer.address.city` for members of members.
package struct FieldPath: Sendable, Hashable, CustomStringConvertible {
    package let components: [String]

    /// - Returns: nil if a component is empty.
    package init?(_ text: String) {
        let components = text.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard components.allSatisfy({ !$0.isEmpty }) else { return nil }
        self.components = components
    }

    init(components: [String]) { self.components = components }

    package var description: String { components.joined(separator: ".") }

    /// The value there; nil if there is none. A `null` that is there is a value.
    package func value(in fields: JSONObject) -> JSONValue? {
        guard let first = components.first, var value = fields[first] else { return nil }
        for component in components.dropFirst() {
            guard let member = value[component] else { return nil }
            value = member
        }
        return value
    }
}
