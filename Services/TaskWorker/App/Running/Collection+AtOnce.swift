extension Collection where Element: Sendable, Self: Sendable {
    /// What `operation` gives for each element, in the order in which they are done, with at most `width` under way.
    func mapAtOnce<Value: Sendable>(
        _ width: Int, _ operation: @Sendable @escaping (Element) async throws -> Value
    ) async throws -> [Value] {
        try await withThrowingTaskGroup(of: Value.self) { group in
            var (values, next) = ([Value](), startIndex)
            func addNext() {
                guard next < endIndex else { return }
                let element = self[next]
                formIndex(after: &next)
                group.addTask { try await operation(element) }
            }
            for _ in 0..<width { addNext() }
            while let value = try await group.next() {
                values.append(value)
                addNext()
            }
            return values
        }
    }

    /// Does `operation` for each element, with at most `width` under way.
    func each(atOnce width: Int, _ operation: @Sendable @escaping (Element) async -> Void) async {
        _ = try? await mapAtOnce(width, operation)
    }
}
