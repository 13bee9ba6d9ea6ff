import TaskTesting
import TaskWorker
import Testing

@testable import words_worker

@Suite(.timeLimit(.minutes(1))) struct WordsTests {
    private let text = "the cat and the dog\nthe end"

    @Test("words are counted, the most frequent first")
    func counts() async throws {
        let attempt = RecordedAttempt()
        let result = try await CountWords(minimumLength: 1).run(.init(text: text, top: 1), context: attempt.context)
        #expect(result == .init(words: 7, top: [.init(word: "the", count: 3)]))
        #expect(attempt.reports.map(\.progress) == [50, 100])
    }

    @Test("the task runs in a worker, and wrong arguments fail at once")
    func runs() async throws {
        try await TestWorker.run {
            $0.register(CountWords(minimumLength: 4))
        } body: { worker in
            let id = try await worker.submit(CountWords.self, .init(text: "tiny words and large ones"))
            #expect(try await worker.result(of: id, as: CountWords.Result.self).words == 4)
            let wrong = try await worker.submit(CountWords.self, .init(text: "", top: 0))
            let end = try await worker.end(of: wrong)
            #expect(end.state == .failed && end.attempt == 1)
        }
    }
}
