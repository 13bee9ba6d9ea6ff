/// A file of the demonstration page, with what a browser is told about it. All of them are part of the program.
package struct PageFile: Sendable {
    /// Its path on the gateway, such as `/apus.js`.
    package let path: String
    package let contentType: String
    package let bytes: [UInt8]
    /// Changes with the content, so that a browser keeps the file and still has the newest.
    package let entityTag: String

    /// What goes with each of them, besides its type: nothing on the page comes from elsewhere, and no other site may
    /// frame it. The address may hold a token, which no `Referer` may carry away.
    package static let headers: [(name: String, value: String)] = [
        (
            "Content-Security-Policy",
            "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; "
                + "frame-ancestors 'none'"
        ),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        // A page of another origin may import apus.js, which holds no secret; nor do the others.
        ("Access-Control-Allow-Origin", "*"),
        ("Cache-Control", "no-cache"),
    ]

    private init(_ path: String, _ contentType: String, _ bytes: [UInt8]) {
        self.path = path
        self.contentType = contentType
        self.bytes = bytes
        // FNV-1a, 64 bits: it tells versions apart and need not withstand anyone.
        let hash = bytes.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        entityTag = "\"\(String(hash, radix: 16))\""
    }

    /// The file at that path; `/` is the page itself.
    package static func at(_ path: String) -> PageFile? { byPath[path] }

    private static let byPath: [String: PageFile] = Dictionary(
        uniqueKeysWithValues: all.map { ($0.path, $0) })

    /// Every file, the page first.
    package static let all: [PageFile] = [
        PageFile("/", "text/html; charset=utf-8", PackageResources.index_html),
        PageFile("/style.css", "text/css; charset=utf-8", PackageResources.style_css),
        script("/alerts.js", PackageResources.alerts_js),
        script("/apus.js", PackageResources.apus_js),
        script("/chat.js", PackageResources.chat_js),
        script("/connection.js", PackageResources.connection_js),
        script("/notifications.js", PackageResources.notifications_js),
        script("/page.js", PackageResources.page_js),
        script("/recorder.js", PackageResources.recorder_js),
        script("/rows.js", PackageResources.rows_js),
        script("/rowset.js", PackageResources.rowset_js),
        script("/session.js", PackageResources.session_js),
        script("/summary.js", PackageResources.summary_js),
        script("/tasks.js", PackageResources.tasks_js),
        script("/ui.js", PackageResources.ui_js),
    ]

    private static func script(_ path: String, _ bytes: [UInt8]) -> PageFile {
        PageFile(path, "text/javascript; charset=utf-8", bytes)
    }
}
