internal import Events

/// Who a request is made for. The gateway says it in the headers of every request that it makes for a client.
public struct Caller: Sendable, Equatable {
    /// The user's id; nil for an anonymous client, and for a backend that speaks for itself.
    public var user: String?
    public var roles: [String]
    /// The id of the client's connection.
    public var client: String?

    public init(user: String? = nil, roles: [String] = [], client: String? = nil) {
        self.user = user
        self.roles = roles
        self.client = client
    }

    public init(headers: BusHeaders) {
        user = headers[HeaderName.user].flatMap { $0.isEmpty ? nil : $0 }
        client = headers[HeaderName.client].flatMap { $0.isEmpty ? nil : $0 }
        roles = (headers[HeaderName.roles] ?? "").split(separator: ",").map { $0.trimmingSpaces() }
            .filter { !$0.isEmpty }
    }

    public func has(role: String) -> Bool { roles.contains(role) }

    /// Replaces what `headers` say of the caller by this one.
    ///
    /// A role that holds a comma is left out: written, it would read as two, one of which nobody granted.
    public func write(to headers: inout BusHeaders) {
        headers[HeaderName.user] = user
        headers[HeaderName.client] = client
        let written = roles.filter { !$0.isEmpty && !$0.utf8.contains(UInt8(ascii: ",")) }
        headers[HeaderName.roles] = written.isEmpty ? nil : written.joined(separator: ",")
    }
}

extension Substring {
    fileprivate func trimmingSpaces() -> String {
        var rest = self
        while rest.first == " " { rest.removeFirst() }
        while rest.last == " " { rest.removeLast() }
        return String(rest)
    }
}
