/// What few values of a type have: eight bytes where there is nothing, a place of its own where there is something.
struct Aside<Value: Sendable>: Sendable {
    /// Sendable since it is changed only while nobody else refers to it: copies of an ``Aside`` are values.
    private final class Box: @unchecked Sendable {
        var value: Value

        init(_ value: Value) { self.value = value }
    }

    private var box: Box?

    init() {}

    var value: Value? { box?.value }

    /// Changes the value, `initial` where there is none.
    mutating func change(from initial: @autoclosure () -> Value, _ body: (inout Value) -> Void) {
        if box == nil {
            box = Box(initial())
        } else if !isKnownUniquelyReferenced(&box) {
            box = box.map { Box($0.value) }
        }
        if let box { body(&box.value) }
    }

    mutating func clear() { box = nil }
}
