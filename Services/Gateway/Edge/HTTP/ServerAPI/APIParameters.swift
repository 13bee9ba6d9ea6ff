internal import Events
internal import Foundation
internal import GatewaySession
internal import GatewayWire
internal import JSON

/// The parameters of a method of the server API, each looked at when it is read: one of the wrong kind is an error 107
/// that names it. A null is a parameter that is not there.
struct APIParameters: Sendable {
    private let members: JSONObject

    init(_ value: JSONValue) throws(ClientFailure) {
        switch value {
        case .null: members = [:]
        case .object(let object): members = object
        default: throw .badRequest("the parameters are an object")
        }
    }

    subscript(name: String) -> JSONValue? {
        guard let value = members[name], !value.isNull else { return nil }
        return value
    }

    /// Everything, for whoever reads it itself.
    var all: JSONValue { .object(members) }

    func has(_ name: String) -> Bool { self[name] != nil }

    func string(_ name: String) throws(ClientFailure) -> String? {
        guard let value = self[name] else { return nil }
        guard let text = value.stringValue else { throw .badRequest("\(name) is not a string") }
        return text
    }

    /// A string that says something; an empty one is taken for none, as in Protocol Buffers.
    func text(_ name: String) throws(ClientFailure) -> String? {
        try string(name).flatMap { $0.isEmpty ? nil : $0 }
    }

    func boolean(_ name: String) throws(ClientFailure) -> Bool? {
        guard let value = self[name] else { return nil }
        guard let flag = value.boolValue else { throw .badRequest("\(name) is neither true nor false") }
        return flag
    }

    func integer(_ name: String) throws(ClientFailure) -> Int64? {
        guard let value = self[name] else { return nil }
        guard let number = value.integerValue else { throw .badRequest("\(name) is not a whole number") }
        return number
    }

    func array(_ name: String) throws(ClientFailure) -> [JSONValue] {
        guard let value = self[name] else { throw .badRequest("\(name) is missing") }
        guard let elements = value.arrayValue else { throw .badRequest("\(name) is not an array") }
        return elements
    }

    func strings(_ name: String) throws(ClientFailure) -> [String]? {
        guard has(name) else { return nil }
        let elements = try array(name)
        let strings = elements.compactMap(\.stringValue)
        guard strings.count == elements.count else { throw .badRequest("\(name) holds something that is not a string") }
        return strings
    }

    func object(_ name: String) throws(ClientFailure) -> APIParameters? {
        guard let value = self[name] else { return nil }
        guard value.objectValue != nil else { throw .badRequest("\(name) is not an object") }
        return try APIParameters(value)
    }

    /// `{"key":"text"}`.
    func dictionary(_ name: String) throws(ClientFailure) -> [String: String] {
        guard let object = try object(name) else { return [:] }
        var dictionary: [String: String] = [:]
        for (key, value) in object.members {
            guard let text = value.stringValue else { throw .badRequest("\(name).\(key) is not a string") }
            dictionary[key] = text
        }
        return dictionary
    }

    func position(_ name: String) throws(ClientFailure) -> StreamPosition? {
        guard let object = try object(name) else { return nil }
        let offset = try object.integer("offset") ?? 0
        guard offset >= 0 else { throw .badRequest("\(name).offset is negative") }
        return StreamPosition(epoch: try object.string("epoch") ?? "", offset: UInt64(offset))
    }

    /// A channel and its namespace.
    func channel(
        _ name: String, in policy: ChannelPolicy
    ) throws(ClientFailure) -> (name: ChannelName, namespace: Namespace) {
        guard let text = try text(name) else { throw .badRequest("\(name) is missing") }
        return try APIParameters.channel(text, in: policy)
    }

    static func channel(
        _ text: String, in policy: ChannelPolicy
    ) throws(ClientFailure) -> (name: ChannelName, namespace: Namespace) {
        let channel: ChannelName
        do {
            channel = try ChannelName(text)
        } catch {
            throw .badRequest("\(error)")
        }
        guard let namespace = policy.namespaces[channel.namespace] else { throw .unknownChannel }
        return (channel, namespace)
    }

    /// `<name>`, or `b64<name>`: the same as text in base64, which must be JSON, as all payloads here are.
    func payload(_ name: String) throws(ClientFailure) -> JSONValue? {
        guard let encoded = try text("b64\(name)") else { return members[name] }
        guard let bytes = Data(base64Encoded: encoded) else { throw .badRequest("b64\(name) is not base64") }
        do {
            return try JSONValue(parsing: Array(bytes))
        } catch {
            throw .badRequest("b64\(name) holds no JSON, and payloads here are JSON")
        }
    }
}
