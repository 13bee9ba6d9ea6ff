import Foundation
import TaskWorker

/// `words.count`: which words a text has, and how often.
struct CountWords: WorkerTask {
    static let name = "words.count"
    static let timeout: Duration? = .seconds(60)

    struct Arguments: Codable {
        var text: String
        /// How many of the most frequent words are wanted; 3 unless given.
        var top: Int?
    }

    struct Result: Codable, Equatable {
        struct Word: Codable, Equatable {
            var word: String
            var count: Int
        }

        var words: Int
        var top: [Word]
    }

    /// Shorter words are not counted.
    let minimumLength: Int

    func run(_ arguments: Arguments, context: TaskContext) async throws -> Result {
        guard (1...100).contains(arguments.top ?? 3) else {
            // Another attempt would not go better.
            throw TaskFailure("top must be a number from 1 to 100", isRetryable: false)
        }
        let lines = arguments.text.split(separator: "\n")
        var counts: [String: Int] = [:]
        for (number, line) in lines.enumerated() {
            for word in line.split(whereSeparator: { !$0.isLetter }) where word.count >= minimumLength {
                counts[word.lowercased(), default: 0] += 1
            }
            // As often as you like; a cancelled task ends here.
            try await context.progress(100 * Double(number + 1) / Double(lines.count), message: "line \(number + 1)")
        }
        let order = counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
        return Result(
            words: counts.values.reduce(0, +),
            top: order.prefix(arguments.top ?? 3).map { Result.Word(word: $0.key, count: $0.value) })
    }
}
