/// The gateways that are known to live, and the questions that they have not all answered yet.
///
/// A value without clock or bus. A question ends when every gateway that was known when it was asked has answered or is
/// gone; whoever asked may give up earlier and takes what there is.
package struct ControlTable: Sendable {
    /// What has been answered.
    package typealias Answers = [String: ControlAnswer]

    private struct Pending: Sendable {
        var awaited: Set<String>
        var answers: Answers = [:]
    }

    package let node: String
    private var heardAt: [String: Moment] = [:]
    private var pending: [String: Pending] = [:]

    package static let heartbeatInterval = Duration.seconds(2)
    /// How long a gateway may be silent.
    package static let lease = Duration.seconds(7)

    package init(node: String) { self.node = node }

    /// The other gateways.
    package var others: Set<String> { Set(heardAt.keys) }

    /// What follows from a message.
    package struct Effect: Sendable, Equatable {
        /// Questions that are answered by all now.
        package var finished: [String: Answers] = [:]
        /// Whether to say that this gateway lives.
        package var saysAlive = false
        /// A question of another gateway that is to be answered to it.
        package var question: (id: String, node: String, ControlQuestion)?

        package init() {}

        package static func == (left: Effect, right: Effect) -> Bool {
            left.finished == right.finished && left.saysAlive == right.saysAlive
                && left.question?.id == right.question?.id && left.question?.node == right.question?.node
                && left.question?.2 == right.question?.2
        }
    }

    package mutating func receive(_ message: ControlMessage, now: Moment) -> Effect {
        var effect = Effect()
        switch message {
        case .alive(let other, let asks):
            guard other != node else { return effect }
            heardAt[other] = now
            effect.saysAlive = asks
        case .goodbye(let other):
            guard other != node else { return effect }
            forget(other, &effect)
        case .question(let id, let other, let question):
            guard other != node else { return effect }
            heardAt[other] = now
            effect.question = (id, other, question)
        case .answer(let id, let other, let answer, let isLast):
            guard other != node else { return effect }
            heardAt[other] = now
            let joined = ControlTable.join(pending[id]?.answers[other], answer)
            pending[id]?.answers[other] = joined
            if isLast { pending[id]?.awaited.remove(other) }
            finish(id, &effect)
        }
        return effect
    }

    /// This gateway's own answer is awaited as well: ``answered(_:_:)``.
    package mutating func ask(_ id: String) {
        pending[id] = Pending(awaited: others.union([node]))
    }

    package mutating func answered(_ id: String, _ answer: ControlAnswer) -> Effect {
        var effect = Effect()
        pending[id]?.answers[node] = answer
        pending[id]?.awaited.remove(node)
        finish(id, &effect)
        return effect
    }

    /// Nobody waits any longer.
    /// - Returns: what was answered, and by whom it was not.
    package mutating func giveUp(_ id: String) -> (answers: Answers, silent: Set<String>)? {
        pending.removeValue(forKey: id).map { ($0.answers, $0.awaited) }
    }

    /// Forgets gateways that have been silent for longer than the lease.
    package mutating func expire(now: Moment) -> Effect {
        var effect = Effect()
        for other in heardAt.filter({ $0.value.advanced(by: ControlTable.lease) < now }).keys.sorted() {
            forget(other, &effect)
        }
        return effect
    }

    private mutating func forget(_ other: String, _ effect: inout Effect) {
        heardAt[other] = nil
        for id in pending.keys {
            pending[id]?.awaited.remove(other)
            finish(id, &effect)
        }
    }

    private mutating func finish(_ id: String, _ effect: inout Effect) {
        guard let question = pending[id], question.awaited.isEmpty else { return }
        pending[id] = nil
        effect.finished[id] = question.answers
    }

    /// Answers may come in parts.
    private static func join(_ earlier: ControlAnswer?, _ later: ControlAnswer) -> ControlAnswer {
        guard case .channels(let old)? = earlier, case .channels(let new) = later else { return later }
        return .channels(old.merging(new) { $1 })
    }
}
