import ServiceKit
import TaskWorkerApp

@main struct Program {
    static func main() async {
        await ServiceProgram(
            name: "apus-worker", summary: "runs tasks and reports their progress", build: buildWorker
        ).main()
    }
}
