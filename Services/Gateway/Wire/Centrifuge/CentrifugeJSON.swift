internal import Events
internal import JSON

/// The Centrifuge client protocol, JSON flavour: github.com/centrifugal/protocol, `definitions/client.proto`, version 2.
///
/// ```
/// → {"id":1,"connect":{"token":"…"}}
/// ← {"id":1,"connect":{"client":"…","ping":25,"pong":true}}
/// ← {"push":{"channel":"room:lobby","pub":{"data":{"text":"hi"},"offset":5}}}
/// ```
/// A `publish` may have an `idempotency_key`, which is ours and which the protocol's own clients do not send: on channels
/// with history, the same key of the same user is stored once within two minutes.
///
/// A frame holds one or more JSON objects, a line each. `{}` is a ping from the server and its answer from the client.
package struct CentrifugeJSON: WireProtocol {
    /// How many commands one frame may hold.
    package static let maximumCommandsPerFrame = 256

    /// Stands in for a connect command without a token: browsers' code often has it in the address.
    private let tokenOfAddress: String?

    package init(tokenOfAddress: String? = nil) { self.tokenOfAddress = tokenOfAddress }

    // MARK: Decoding

    package mutating func decode(_ frame: [UInt8]) throws(WireError) -> [ClientCommand] {
        let commands = try JSONReader.readLines(frame) { reader throws(WireError) in
            var commands: [ClientCommand] = []
            while reader.nextLine() {
                guard commands.count < CentrifugeJSON.maximumCommandsPerFrame else {
                    throw WireError("more than \(CentrifugeJSON.maximumCommandsPerFrame) commands in a frame")
                }
                commands.append(try command(&reader))
            }
            return commands
        }
        guard !commands.isEmpty else { throw WireError("a frame without a command") }
        return commands
    }

    private func command(_ reader: inout JSONReader) throws(WireError) -> ClientCommand {
        do throws(JSONError) {
            if try reader.beginObject() {
                let command = try CentrifugeCommand(&reader)
                try reader.finish()
                return command.clientCommand(tokenOfAddress: tokenOfAddress)
            }
            try reader.finish()
        } catch {
            throw WireError("a command is not JSON")
        }
        throw WireError("a command is not an object")
    }

    // MARK: Encoding

    package mutating func encode(_ message: ServerMessage) -> [UInt8]? {
        var writer = JSONWriter(reserving: CentrifugeJSON.size(of: message))
        writer.beginObject()
        switch message {
        case .connected(let result, let reference): writer.reply(reference, "connect") { $0.members(of: result) }
        case .subscribed(_, let result, let reference): writer.reply(reference, "subscribe") { $0.members(of: result) }
        case .unsubscribed(_, let reference): writer.reply(reference, "unsubscribe") { _ in }
        case .published(let reference, _): writer.reply(reference, "publish") { _ in }
        case .callResult(let payload, let reference):
            writer.reply(reference, "rpc") { $0.member("data", text: payload) }
        case .presence(let clients, let reference):
            writer.reply(reference, "presence") { body in
                body.name("presence")
                body.beginObject()
                for client in clients {
                    body.name(client.client)
                    body.write(client)
                }
                body.endObject()
            }
        case .presenceStatistics(let clients, let users, let reference):
            writer.reply(reference, "presence_stats") { body in
                body.member("num_clients", clients)
                body.member("num_users", users)
            }
        case .history(let publications, let position, let reference):
            writer.reply(reference, "history") { body in
                body.members(of: publications)
                body.member("epoch", position.epoch)
                body.member("offset", position.offset)
            }
        case .refreshed(let expiry, let reference): writer.reply(reference, "refresh") { $0.members(of: expiry) }
        case .subscriptionRefreshed(let expiry, let reference):
            writer.reply(reference, "sub_refresh") { $0.members(of: expiry) }
        case .pong(let reference): writer.reply(reference, "ping") { _ in }
        case .failure(let failure, let reference):
            writer.reply(reference, "error") { body in
                body.member("code", failure.code)
                body.member("message", failure.message)
                if failure.isTemporary { body.member("temporary", true) }
            }
        case .ping: break
        case .refreshedByServer(let expiry): writer.push(nil, "refresh") { $0.members(of: expiry) }
        case .subscribedByServer(let channel, let result):
            writer.push(channel, "subscribe") { $0.members(of: result) }
        case .unsubscribedByServer(let channel, let reason):
            writer.push(channel, "unsubscribe") { body in
                body.member("code", reason.code)
                body.member("reason", reason.reason)
            }
        case .members: return nil
        case .dropped(let channel, let count):
            writer.push(nil, "message") { body in
                body.name("data")
                body.writeDropped(channel: channel, count: count)
            }
        }
        writer.endObject()
        return writer.finish()
    }

    /// How many bytes a message takes at most, as a rule.
    private static func size(of message: ServerMessage) -> Int {
        switch message {
        case .connected: 512
        case .callResult(let payload, _): payload.count + 64
        default: 192
        }
    }

    package static func encodeBroadcast(_ publication: Publication, label: String) -> [UInt8] {
        var writer = JSONWriter(reserving: publication.payload.count + label.utf8.count + 96)
        writer.beginObject()
        writer.push(label, "pub") { $0.members(of: publication) }
        writer.endObject()
        return writer.finish()
    }

    /// A line for each change: a frame may hold many.
    package static func encodePresence(_ changes: [PresenceChange], label: String) -> [UInt8]? {
        var writer = JSONWriter(reserving: changes.count * 192)
        for change in changes {
            writer.beginLine()
            writer.beginObject()
            writer.push(label, change.kind == .joined ? "join" : "leave") { body in
                body.name("info")
                body.write(change.info)
            }
            writer.endObject()
        }
        return writer.finish()
    }

    package static func closeCode(_ disconnect: Disconnect) -> Disconnect { disconnect }
}
