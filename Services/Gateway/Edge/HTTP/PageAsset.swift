/// A file of the page, built into the program.
struct PageAsset: Sendable {
    let path: String
    let type: String
    let bytes: [UInt8]

    private static let html = "text/html; charset=utf-8"
    private static let script = "text/javascript; charset=utf-8"
    private static let style = "text/css; charset=utf-8"

    static let all: [PageAsset] = [
        PageAsset(path: "/alerts.js", type: script, bytes: PackageResources.alerts_js),
        PageAsset(path: "/apus.js", type: script, bytes: PackageResources.apus_js),
        PageAsset(path: "/chat.js", type: script, bytes: PackageResources.chat_js),
        PageAsset(path: "/connection.js", type: script, bytes: PackageResources.connection_js),
        PageAsset(path: "/", type: html, bytes: PackageResources.index_html),
        PageAsset(path: "/notifications.js", type: script, bytes: PackageResources.notifications_js),
        PageAsset(path: "/page.js", type: script, bytes: PackageResources.page_js),
        PageAsset(path: "/recorder.js", type: script, bytes: PackageResources.recorder_js),
        PageAsset(path: "/rows.js", type: script, bytes: PackageResources.rows_js),
        PageAsset(path: "/rowset.js", type: script, bytes: PackageResources.rowset_js),
        PageAsset(path: "/session.js", type: script, bytes: PackageResources.session_js),
        PageAsset(path: "/style.css", type: style, bytes: PackageResources.style_css),
        PageAsset(path: "/summary.js", type: script, bytes: PackageResources.summary_js),
        PageAsset(path: "/tasks.js", type: script, bytes: PackageResources.tasks_js),
        PageAsset(path: "/ui.js", type: script, bytes: PackageResources.ui_js),
    ]
}
