import ServiceKit
import TaskWorker

/// This worker's own key, besides those that every worker has: `--words-minimum-length`, `APUS_WORDS_MINIMUM_LENGTH`,
/// `words.minimum_length` in the file.
struct WordSettings: ServiceConfiguration {
    static let definitions = [
        SettingDefinition("words.minimum_length", .integer, default: "1", "how many letters a word has that counts")
    ]

    let minimumLength: Int

    init(from settings: inout SettingsReader) {
        minimumLength = settings.integer("words.minimum_length") ?? 1
    }
}

@main struct Main {
    static func main() async {
        await WorkerProgram<WordSettings>(name: "words-worker", summary: "counts words") { worker, settings, _ in
            worker.use(LogTasks(), TimeTasks(label: "words_attempt_seconds"), TraceTasks())
            worker.register(CountWords(minimumLength: settings.minimumLength))
            worker.serve(queue: "words", atOnce: 2)
        }.main()
    }
}
