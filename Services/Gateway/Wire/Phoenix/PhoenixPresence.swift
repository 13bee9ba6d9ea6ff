internal import JSON

/// Presence as Phoenix's clients know it: under each key the connections of one user, each with a `phx_ref` of its own.
///
/// ```
/// {"42":{"metas":[{"phx_ref":"5f3a…","name":"Ann"},{"phx_ref":"77b0…","name":"Ann"}]}}
/// ```
/// The key is the user's id, or the connection's for clients without one; `phx_ref` is the connection's id; the other
/// members are those of the token's `info`.
enum PhoenixPresence {
    static func state(_ members: [ClientInfo]) -> [UInt8] { JSONValue.object(grouped(members)).serialized() }

    /// Of each connection only the last change counts: clients take in joins before leaves.
    static func difference(_ changes: [PresenceChange]) -> [UInt8] {
        var last: [String: Int] = [:]
        for (index, change) in changes.enumerated() { last[change.info.client] = index }
        let kept = changes.enumerated().filter { last[$0.element.info.client] == $0.offset }.map(\.element)
        let value: JSONValue = [
            "joins": .object(grouped(kept.filter { $0.kind == .joined }.map(\.info))),
            "leaves": .object(grouped(kept.filter { $0.kind == .left }.map(\.info))),
        ]
        return value.serialized()
    }

    private static func grouped(_ members: [ClientInfo]) -> JSONObject {
        var metas: [String: [JSONValue]] = [:]
        var keys: [String] = []
        for member in members {
            let key = member.user.isEmpty ? member.client : member.user
            if metas[key] == nil { keys.append(key) }
            metas[key, default: []].append(meta(member))
        }
        return JSONObject(keys.map { ($0, ["metas": .array(metas[$0] ?? [])]) })
    }

    private static func meta(_ member: ClientInfo) -> JSONValue {
        var meta: JSONObject = [:]
        switch member.info {
        case .object(let members)?: meta = members
        case let other?: meta["info"] = other
        case nil: break
        }
        meta["phx_ref"] = .string(member.client)
        return .object(meta)
    }
}
