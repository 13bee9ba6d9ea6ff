public import EventBus

/// What every ``EventBus`` must do, as cases that a test suite runs on each implementation:
///
/// ```swift
/// @Test("keeps the contract", arguments: EventBusContract.cases)
/// func contract(_ contract: EventBusContract.Case) async throws { try await contract.run(on: MemoryBus()) }
/// ```
///
/// Cases use names of their own, so that they may run side by side on one server. A new behaviour of the bus begins as
/// a case here.
public enum EventBusContract {
    public struct Case: Sendable, CustomStringConvertible {
        /// A sentence: what is promised.
        public let description: String
        private let body: @Sendable (any EventBus) async throws -> Void

        init(_ description: String, _ body: @escaping @Sendable (any EventBus) async throws -> Void) {
            self.description = description
            self.body = body
        }

        /// - Parameter bus: connected, and for this case alone: the last cases close it.
        /// - Throws: ``ContractViolation`` if a promise is broken, or the bus's own error.
        public func run(on bus: any EventBus) async throws { try await body(bus) }
    }

    /// All of them.
    public static let cases: [Case] = feed.map(\.ofBus) + core + calls + streams + consumers + keyValue + connection
}

/// A promise of the bus that was not kept.
public struct ContractViolation: Error, Sendable, CustomStringConvertible {
    public let description: String

    init(_ message: String, file: StaticString, line: UInt) {
        description = "\(message) (\(file):\(line))"
    }
}

// MARK: - How cases are written

extension EventBusContract {
    /// A token that nobody else uses.
    static func unique(_ prefix: String = "c") -> String {
        prefix + String(UInt64.random(in: 0...UInt64.max), radix: 36)
    }

    static func expect(
        _ condition: Bool, _ message: String, file: StaticString = #fileID, line: UInt = #line
    ) throws(ContractViolation) {
        if !condition { throw ContractViolation(message, file: file, line: line) }
    }

    static func expectEqual<Value: Equatable>(
        _ found: Value, _ expected: Value, _ what: String, file: StaticString = #fileID, line: UInt = #line
    ) throws(ContractViolation) {
        if found != expected {
            throw ContractViolation("\(what) is \(found) instead of \(expected)", file: file, line: line)
        }
    }

    /// Runs what must throw a ``BusError`` with `code`.
    static func expectError(
        _ code: BusError.Code, _ what: String, file: StaticString = #fileID, line: UInt = #line,
        _ body: () async throws -> Void
    ) async throws {
        do {
            try await body()
        } catch let error as BusError {
            if error.code != code {
                throw ContractViolation("\(what) threw \(error) instead of \(code)", file: file, line: line)
            }
            return
        }
        throw ContractViolation("\(what) did not throw \(code)", file: file, line: line)
    }

    /// Waits for `condition`, which is asked again and again; for what only the server knows.
    static func eventually(
        _ what: String, file: StaticString = #fileID, line: UInt = #line,
        _ condition: () async throws -> Bool
    ) async throws {
        let deadline = ContinuousClock.now + patience
        while try await !condition() {
            guard ContinuousClock.now < deadline else {
                throw ContractViolation("\(what) did not come to be", file: file, line: line)
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// How long a case waits for something that must happen. Long, since machines that test are busy.
    static let patience = Duration.seconds(20)

    static func text(_ message: BusMessage) -> String { String(decoding: message.payload, as: UTF8.self) }

    static func message(_ subject: String, _ text: String, headers: BusHeaders = [:]) -> BusMessage {
        BusMessage(subject: subject, headers: headers, payload: Array(text.utf8))
    }
}
