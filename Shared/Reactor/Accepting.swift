internal import CEpoll
internal import Glibc

extension Reactor {
    /// Takes the next connection from a listening socket, as a descriptor that never blocks and that programs started by this
    /// one do not inherit (`accept4`).
    /// - Throws: ``ReactorError``, with the code `EAGAIN` when nobody waits.
    public static func accept(from listening: Int32) throws(ReactorError) -> Int32 {
        let flags = Int32(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = accept4(listening, nil, nil, flags)
        guard descriptor >= 0 else { throw ReactorError("accept4", errno) }
        return descriptor
    }
}
