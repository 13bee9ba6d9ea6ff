internal import Foundation
internal import GatewaySession
internal import HTTPTypes
internal import Hummingbird
internal import Identity
internal import JSON
internal import NIOCore

/// Where files go that clients upload (`gateway.upload`): for a worker that sees the same folder.
package struct UploadConfiguration: Sendable {
    package var directory: String
    package var maximumBytes: Int

    package init(directory: String, maximumBytes: Int) {
        self.directory = directory
        self.maximumBytes = maximumBytes
    }
}

/// `POST /upload`: stores the body as a file of its own name and answers with its path.
///
/// The name is the server's; nothing of the client's choosing reaches the file system. A file that is not whole is removed.
struct UploadRoute {
    let configuration: UploadConfiguration
    let services: EdgeServices

    func add(to router: Router<BasicRequestContext>) {
        router.post("upload") { request, _ async throws -> Response in
            guard try services.identity(of: request).user != nil else {
                throw HTTPFailure(.unauthorized, "authentication required: send a token")
            }
            return try await store(request)
        }
    }

    private func store(_ request: Request) async throws -> Response {
        let folder = URL(fileURLWithPath: configuration.directory)
        let file = folder.appendingPathComponent(UUID().uuidString.lowercased() + ".upload")
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            let bytes = try await write(request, to: file)
            return .json(["path": .string(file.path), "bytes": .integer(Int64(bytes))])
        } catch {
            try? FileManager.default.removeItem(at: file)
            if error is HTTPFailure { throw error }
            throw HTTPFailure(.init(code: 507, reasonPhrase: "Insufficient Storage"), "the file could not be stored")
        }
    }

    private func write(_ request: Request, to file: URL) async throws -> Int {
        guard FileManager.default.createFile(atPath: file.path, contents: nil, attributes: [.posixPermissions: 0o600])
        else {
            throw HTTPFailure(.init(code: 507, reasonPhrase: "Insufficient Storage"), "the file could not be stored")
        }
        let handle = try FileHandle(forWritingTo: file)
        defer { try? handle.close() }
        var total = 0
        for try await var buffer in request.body {
            total += buffer.readableBytes
            guard total <= configuration.maximumBytes else {
                throw HTTPFailure(.contentTooLarge, "at most \(configuration.maximumBytes) bytes can be uploaded")
            }
            try handle.write(contentsOf: Data(buffer.readBytes(length: buffer.readableBytes) ?? []))
        }
        return total
    }
}
