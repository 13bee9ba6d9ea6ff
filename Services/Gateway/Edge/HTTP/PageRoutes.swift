internal import GatewaySession
internal import HTTPTypes
internal import Hummingbird
internal import JSON
internal import NIOCore

/// What the demonstration page is told about this deployment.
package struct PageConfiguration: Sendable {
    /// The path of a sample file, as the worker sees it.
    package var sampleFile: String?
    /// Tables that the page shows, as `main.products`.
    package var tables: [String]

    package init(sampleFile: String? = nil, tables: [String] = []) {
        self.sampleFile = sampleFile
        self.tables = tables
    }
}

/// The demonstration page and the browser client, from this program itself.
struct PageRoutes {
    let configuration: PageConfiguration
    let services: EdgeServices
    let offersUpload: Bool

    func add(to router: Router<BasicRequestContext>) {
        for asset in PageAsset.all {
            router.get(RouterPath(asset.path)) { _, _ -> Response in
                Response(
                    status: .ok,
                    headers: [
                        .contentType: asset.type, .cacheControl: "no-cache",
                        HTTPField.Name("X-Content-Type-Options")!: "nosniff",
                    ],
                    body: ResponseBody(byteBuffer: ByteBuffer(bytes: asset.bytes)))
            }
        }
        let facts: JSONObject = [
            "sample_csv": configuration.sampleFile.map(JSONValue.string) ?? JSONValue.null,
            "tables": JSONValue.array(configuration.tables.map(JSONValue.string)),
            "anonymous": JSONValue.bool(services.allowsAnonymous),
            "upload": JSONValue.bool(offersUpload),
        ]
        router.get("page.json") { _, _ -> Response in .json(.object(facts)) }
    }
}
