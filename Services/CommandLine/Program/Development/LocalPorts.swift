internal import Foundation

/// Asks the system about TCP ports of this machine.
enum LocalPorts {
    /// Whether `port` of `host`, an IPv4 address, can be listened on now.
    static func isFree(_ port: Int, host: String = "127.0.0.1") -> Bool { bound(port, host: host) != nil }

    /// A port that nobody listens on now.
    static func free() -> Int? { bound(0, host: "127.0.0.1") }

    private static func bound(_ port: Int, host: String) -> Int? {
        let socket = Foundation.socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard socket >= 0 else { return nil }
        defer { close(socket) }
        // As servers do: connections that have ended keep no port busy.
        var on: Int32 = 1
        setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(clamping: port)).bigEndian
        guard inet_pton(AF_INET, host == "localhost" ? "127.0.0.1" : host, &address.sin_addr) == 1 else {
            // Another machine's name or IPv6: whoever listens there finds out.
            return port
        }
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isListening = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(socket, address, length) == 0 && listen(socket, 1) == 0
                    && getsockname(socket, address, &length) == 0
            }
        }
        return isListening ? Int(UInt16(bigEndian: address.sin_port)) : nil
    }
}
