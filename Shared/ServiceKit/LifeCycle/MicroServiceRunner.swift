public import EventBus
public import ServiceLifecycle

/// Runs a ``MicroService`` as a part of a program: it serves until shutdown begins, then finishes what is in hand.
public struct MicroServiceRunner: Service {
    private let service: MicroService

    public init(_ service: MicroService) { self.service = service }

    public func run() async throws {
        try await cancelWhenGracefulShutdown { try await service.run() }
    }
}
