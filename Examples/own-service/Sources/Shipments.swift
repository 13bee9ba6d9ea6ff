import EventBus
import Events
import JSON
import ServiceKit
import ServiceLifecycle

/// Tells everybody on `topic:shipments` of each shipped order, and estimates delivery times for whoever calls.
struct Shipments: Service {
    let context: ServiceContext

    func run() async throws {
        let methods = MicroService(
            name: "shipments", version: "1.0.0", description: "delivery estimates",
            bus: context.bus, subjects: context.subjects, logger: context.logger)
        // A client calls this with its protocol's rpc, or as POST /rpc/shipments.estimate.
        methods.rpc("shipments.estimate") { request in
            guard let distance = request.parameters["distance_km"]?.doubleValue, distance > 0 else {
                throw RPCError(400, "distance_km must be a number above 0")
            }
            return ["days": .integer(distance < 500 ? 1 : 3), "for": .string(request.caller.user ?? "anybody")]
        }
        try await cancelWhenGracefulShutdown {
            try await withThrowingTaskGroup { group in
                group.addTask { try await methods.run() }
                group.addTask { try await announceShipments() }
                try await group.waitForAll()
            }
        }
    }

    /// Handles events as a durable consumer: those that come while this program is not running wait for it.
    private func announceShipments() async throws {
        let (bus, subjects) = (context.bus, context.subjects)
        let consumer = try await context.untilAvailable("the stream of events") {
            try await bus.ensureStream(.events(subjects))
            return try await bus.consumer(
                ConsumerSpecification(
                    stream: subjects.eventsStream, name: "shipments", filter: subjects.event("order.status_changed")))
        }
        let channels = ChannelPublisher(bus: bus, subjects: subjects)
        let channel = try ChannelName("topic:shipments")
        while !Task.isCancelled {
            let deliveries = try await context.untilAvailable("events") {
                try await consumer.fetch(64, wait: .seconds(5))
            }
            for delivery in deliveries {
                // Plain JSON or a CloudEvent in either mode.
                let order = try? IncomingEvent(
                    headers: delivery.message.headers, payload: delivery.message.payload,
                    subjectType: "order.status_changed"
                ).event.fields
                if order?["status"]?.stringValue == "shipped", let id = order?["order_id"] {
                    try await context.untilAvailable("the channel") {
                        // The same id for the same event: told again after a crash, it is stored once.
                        try await channels.publish(
                            JSONValue.object(["order_id": id]).serialized(), on: channel, event: "shipped",
                            messageID: "shipments-\(delivery.sequence)")
                    }
                }
                try? await delivery.acknowledge()  // one that is lost on the way only brings the event again
            }
        }
    }
}
