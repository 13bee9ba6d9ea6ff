internal import EventBus

/// Decides what happens on a channel: who joins, what becomes of what clients send, what they are told. What a channel
/// module is in Phoenix; usually an actor, so that it may keep state.
///
/// ```swift
/// actor ChatRoom: ChannelHandler {
///     func join(_ join: ChannelJoin) async throws -> JoinAnswer {
///         guard await store.isMember(join.caller.user, of: room) else { throw RPCError(403, "ask for an invitation") }
///         return .welcome(["messages": .array(await store.latest(50, of: room))])
///     }
///     func handle(_ event: ChannelEvent) async throws -> EventAnswer {
///         switch event.name {
///         case "message": .broadcast(try await store.keep(event.data, by: event.caller))
///         case "typing": .broadcastToOthers(storing: false)
///         default: throw RPCError(404, "there is no event of that name here")
///         }
///     }
/// }
/// ```
///
/// A ``ChannelHandlerService`` makes handlers, one for each channel, and lets each go once nobody has asked it anything
/// for a while. Three things follow for what a handler may remember:
///
/// - **It is a cache.** A handler may be let go between any two questions, and a crash loses it. What must last is kept
///   in a database before the question is answered.
/// - **It is one of several.** Every process of the service answers questions about every channel, whichever is free: two
///   handlers of one channel live at the same time, and a person's `leave` may reach another one than the `join` did.
///   Only in a service that runs as one process is a channel's handler the only one. To keep a channel's state in one
///   place with several processes, give each its own namespace or keep the state where all reach it.
/// - **It is re-entrant**, as every actor is: at each `await` another question may come in between.
///
/// An error thrown as ``RPCError`` goes to the client with its code (400 to 599; 429, 503 and 504 count as temporary) and
/// its message. Anything else is logged by its type, and the client is told "internal error".
public protocol ChannelHandler: Sendable {
    /// Somebody wants to subscribe, or stay subscribed: throw to refuse.
    ///
    /// Its messages are held from before this is asked until the client has the answer, so that what is published in
    /// between comes after `data`, or is in it already: give messages ids where that matters.
    func join(_ join: ChannelJoin) async throws -> JoinAnswer

    /// A client sent something on the channel. Refuses everything unless implemented.
    func handle(_ event: ChannelEvent) async throws -> EventAnswer

    /// Somebody whom a `join` let in is no longer subscribed. Told at most once, and not at all if the gateway dies:
    /// who is there now, the gateway's presence knows. Does nothing unless implemented.
    func leave(_ leave: ChannelLeave) async
}

extension ChannelHandler {
    public func handle(_ event: ChannelEvent) async throws -> EventAnswer {
        throw RPCError(403, "nothing can be sent on this channel")
    }

    public func leave(_ leave: ChannelLeave) async {}
}
