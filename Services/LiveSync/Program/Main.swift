internal import LiveSyncApp
internal import ServiceKit

@main
struct Program {
    static func main() async {
        await ServiceProgram(
            name: "apus-livesync", summary: "Tells changes of database rows on channels.", build: buildLiveSync
        ).main()
    }
}
