import NotifierApp
import ServiceKit

@main
struct Program {
    static func main() async {
        await ServiceProgram(
            name: "apus-notifier", summary: "tells people what happened: notifications, inboxes, alerts",
            build: buildNotifier
        ).main()
    }
}
