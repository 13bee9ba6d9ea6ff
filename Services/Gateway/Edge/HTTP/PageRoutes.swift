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
    /// The SQLite file that holds them, for the command that the page shows.
    package var database: String?

    package init(sampleFile: String? = nil, tables: [String] = [], database: String? = nil) {
        self.sampleFile = sampleFile
        self.tables = tables
        self.database = database
    }
}

/// The demonstration page and the browser client, from this program itself.
struct PageRoutes {
    let configuration: PageConfiguration
    let services: EdgeServices
    let offersUpload: Bool

    func add(to router: Router<BasicRequestContext>) {
        for file in PageFile.all {
            let headers = PageRoutes.headers(of: file)
            router.get(RouterPath(file.path)) { request, _ -> Response in
                guard request.headers[.ifNoneMatch] != file.entityTag else {
                    return Response(status: .notModified, headers: headers)
                }
                return Response(
                    status: .ok, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: file.bytes)))
            }
        }
        var facts: JSONObject = [
            "sample_csv": configuration.sampleFile.map(JSONValue.string) ?? JSONValue.null,
            "tables": JSONValue.array(configuration.tables.map(JSONValue.string)),
            "anonymous": JSONValue.bool(services.allowsAnonymous),
            "upload": JSONValue.bool(offersUpload),
        ]
        if let database = configuration.database { facts["database"] = .string(database) }
        let text = JSONValue.object(facts).serialized()
        router.get("page.json") { _, _ -> Response in .json(bytes: text) }
    }

    private static func headers(of file: PageFile) -> HTTPFields {
        var headers: HTTPFields = [.contentType: file.contentType, .eTag: file.entityTag]
        for (name, value) in PageFile.headers {
            if let name = HTTPField.Name(name) { headers[name] = value }
        }
        return headers
    }
}
