internal import Events
internal import JSON

/// How the protocol's results are written: each function writes members into an object that was begun.
extension JSONWriter {
    mutating func reply(_ reference: CommandReference, _ name: StaticString, _ body: (inout JSONWriter) -> Void) {
        // An answer to what could not be read carries no id.
        if reference != 0 { member("id", reference) }
        object(name, body)
    }

    mutating func push(_ channel: String?, _ name: StaticString, _ body: (inout JSONWriter) -> Void) {
        object("push") { push in
            if let channel { push.member("channel", channel) }
            push.object(name, body)
        }
    }

    private mutating func object(_ name: StaticString, _ members: (inout JSONWriter) -> Void) {
        self.name(name)
        beginObject()
        members(&self)
        endObject()
    }

    mutating func members(of result: ConnectResult) {
        member("client", result.client)
        member("version", result.version)
        members(of: result.expiry)
        if !result.subscriptions.isEmpty {
            object("subs") { body in
                for (channel, subscription) in result.subscriptions.sorted(by: { $0.key < $1.key }) {
                    body.name(channel)
                    body.beginObject()
                    body.members(of: subscription)
                    body.endObject()
                }
            }
        }
        member("ping", result.pingInterval)
        member("pong", true)
        if !result.session.isEmpty { member("session", result.session) }
        if !result.node.isEmpty { member("node", result.node) }
    }

    mutating func members(of result: SubscribeResult) {
        if let seconds = result.expiresIn { members(of: .after(seconds: seconds)) }
        if let position = result.position {
            member("recoverable", true)
            member("positioned", true)
            member("epoch", position.epoch)
            if !result.publications.isEmpty { members(of: result.publications) }
            if result.recovery == .recovered { member("recovered", true) }
            member("offset", position.offset)
        }
        if result.recovery != .notAsked { member("was_recovering", true) }
        if let data = result.data { member("data", text: data) }
    }

    mutating func members(of expiry: ConnectionExpiry) {
        guard case .after(let seconds) = expiry else { return }
        member("expires", true)
        member("ttl", max(0, seconds))
    }

    mutating func members(of publications: [Publication]) {
        reserve(publications.reduce(0) { $0 + $1.payload.count + 96 })
        name("publications")
        beginArray()
        for publication in publications {
            beginObject()
            members(of: publication)
            endObject()
        }
        endArray()
    }

    mutating func members(of publication: Publication) {
        member("data", text: publication.payload)
        if let publisher = publication.publisher {
            name("info")
            write(publisher)
        }
        if let offset = publication.offset { member("offset", offset) }
        let tags = publication.allTags
        guard !tags.isEmpty else { return }
        object("tags") { body in
            for (key, value) in tags {
                body.name(key)
                body.write(value)
            }
        }
    }

    mutating func write(_ info: ClientInfo) {
        beginObject()
        member("user", info.user)
        member("client", info.client)
        if let info = info.info { member("conn_info", info) }
        endObject()
    }
}
