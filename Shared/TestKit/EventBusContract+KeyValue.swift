internal import EventBus
internal import Events

extension EventBusContract {
    private static func bucket(on bus: any EventBus, history: Int = 1) async throws -> any KeyValueBucket {
        try await bus.keyValue(BucketSpecification(name: unique("B"), history: history))
    }

    private static func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    /// Reads the next event, at most for the case's patience.
    private static func next(
        _ iterator: inout AsyncStream<KeyValueEvent>.Iterator
    ) async throws -> KeyValueEvent {
        guard let event = await iterator.next() else {
            throw ContractViolation("the watch ended", file: #fileID, line: #line)
        }
        return event
    }

    private static func entry(_ event: KeyValueEvent) throws -> KeyValueEntry {
        guard case .entry(let entry) = event else {
            throw ContractViolation("\(event) instead of an entry", file: #fileID, line: #line)
        }
        return entry
    }

    static let keyValue: [Case] = [
        Case("a value can be written and read, and its revision grows") { bus in
            let bucket = try await bucket(on: bus)
            try expectEqual(try await bucket.get("a"), nil, "a key that was never written")
            let first = try await bucket.put("a", bytes("1"))
            let second = try await bucket.put("a", [0, 255, 10])
            try expect(second > first, "the revision does not grow")
            let entry = try await bucket.get("a")
            try expectEqual(entry?.value, [0, 255, 10], "the value")
            try expectEqual(entry?.revision, second, "the revision")
            try expectEqual(entry?.operation, .put, "the operation")
            try expectEqual(entry?.key, "a", "the key")
            try expect(entry.map { $0.writtenAt.seconds > 1_600_000_000 } == true, "the time is not set")
        },
        Case("the same bucket is found again") { bus in
            let specification = BucketSpecification(name: unique("B"))
            try await bus.keyValue(specification).put("a.b", bytes("1"))
            try expectEqual(try await bus.keyValue(specification).get("a.b")?.value, bytes("1"), "the value")
        },
        Case("of two who update the same revision one wins") { bus in
            let bucket = try await bucket(on: bus)
            let first = try await bucket.update("a", bytes("1"), revision: nil)
            try await expectError(.conflict, "creating twice") {
                try await bucket.update("a", bytes("2"), revision: nil)
            }
            try await bucket.put("b", bytes("x"))
            let second = try await bucket.update("a", bytes("2"), revision: first)
            try await expectError(.conflict, "updating an old revision") {
                try await bucket.update("a", bytes("3"), revision: first)
            }
            try expectEqual(try await bucket.get("a")?.value, bytes("2"), "the value")
            try expectEqual(try await bucket.get("a")?.revision, second, "the revision")
        },
        Case("keys that are created at once are all written, or it says why one is not, which holds up none") { bus in
            let bucket = try await bucket(on: bus)
            func create(_ entries: [(String, String)]) async throws(BusError) {
                try await bucket.create { add in
                    for (key, value) in entries { add(key, bytes(value)) }
                }
            }
            try await create((0..<500).map { ("new.\($0)", "\($0)") })
            for number in [0, 77, 499] {
                try expectEqual(try await bucket.get("new.\(number)")?.value, bytes("\(number)"), "the value")
            }
            try await bucket.put("gone", bytes("1"))
            try await bucket.delete("gone")
            let spoiling: [(String, BusError.Code)] = [
                ("new.7", .conflict), ("gone", .conflict), ("no key", .invalidArgument),
            ]
            for (number, (key, code)) in spoiling.enumerated() {
                try await expectError(code, "creating \(key)") {
                    try await create([("before.\(number)", "2"), (key, "2"), ("behind.\(number)", "2")])
                }
                for other in ["before", "behind"] {
                    try expectEqual(
                        try await bucket.get("\(other).\(number)")?.value, bytes("2"), "what is \(other) it")
                }
            }
            try expectEqual(try await bucket.get("new.7")?.value, bytes("7"), "what was there")
            try expectEqual(try await bucket.get("gone")?.value, nil, "what was deleted")
            try await create([])
        },
        Case("of several keys those are found that have a value, however many") { bus in
            let bucket = try await bucket(on: bus)
            try await bucket.put("a", bytes("1"))
            let second = try await bucket.put("a", bytes("2"))
            try await bucket.put("gone", bytes("1"))
            try await bucket.delete("gone")
            try await bucket.put("purged", bytes("1"))
            try await bucket.purge("purged")
            try await bucket.put("empty", [])
            let keys = (0..<500).map { "never.\($0)" }
            try expectEqual(try await bucket.present(among: keys).count, 0, "of those that never were")
            let found = try await bucket.present(among: keys + ["a", "gone", "purged", "empty"]).sorted {
                $0.key < $1.key
            }
            try expectEqual(found.map(\.key), ["a", "empty"], "the keys")
            try expectEqual(found.map(\.value), [bytes("2"), []], "their values")
            try expectEqual(found.first?.revision, second, "the revision")
            try expectEqual(try await bucket.present(among: []).count, 0, "of none")
            try await expectError(.invalidArgument, "asking for no key") {
                _ = try await bucket.present(among: ["a", "no key"])
            }
        },
        Case("many who count up together lose no step") { bus in
            let bucket = try await bucket(on: bus)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        for _ in 0..<10 {
                            while true {
                                let now = try await bucket.get("n")
                                let count = now.flatMap { Int(String(decoding: $0.value, as: UTF8.self)) } ?? 0
                                do throws(BusError) {
                                    try await bucket.update("n", bytes("\(count + 1)"), revision: now?.revision)
                                    break
                                } catch {
                                    if error.code != .conflict { throw error }
                                }
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            try expectEqual(try await bucket.get("n")?.value, bytes("80"), "the count")
        },
        Case("a deleted key has no value and can be created again") { bus in
            let bucket = try await bucket(on: bus, history: 5)
            try await bucket.put("a", bytes("1"))
            try await bucket.delete("a")
            try expectEqual(try await bucket.get("a"), nil, "the deleted value")
            try expectEqual(try await bucket.keys(), [], "the keys")
            try expectEqual(
                try await bucket.history("a").map(\.operation), [.put, .delete], "the operations of its history")
            try await bucket.update("a", bytes("2"), revision: nil)
            try expectEqual(try await bucket.get("a")?.value, bytes("2"), "the new value")
            try await bucket.delete("never")
        },
        Case("the last revisions are kept, as many as the bucket's history") { bus in
            let bucket = try await bucket(on: bus, history: 3)
            for number in 1...5 { try await bucket.put("a", bytes("\(number)")) }
            try expectEqual(
                try await bucket.history("a").map(\.value), ["3", "4", "5"].map(bytes), "the values of the history")
            try expectEqual(try await bucket.history("none").count, 0, "the length of no history")
        },
        Case("a purged key has no values left in its history") { bus in
            let bucket = try await bucket(on: bus, history: 5)
            for number in 1...3 { try await bucket.put("a", bytes("\(number)")) }
            try await bucket.purge("a")
            try expectEqual(try await bucket.get("a"), nil, "the purged value")
            let values = try await bucket.history("a").filter { $0.operation == .put }
            try expectEqual(values.count, 0, "the number of values left")
            try await bucket.update("a", bytes("again"), revision: nil)
            try expectEqual(try await bucket.get("a")?.value, bytes("again"), "the new value")
        },
        Case("keys can be listed, all or by a filter") { bus in
            let bucket = try await bucket(on: bus)
            for key in ["user.1.name", "user.2.name", "user.2.age", "x/y=_-"] { try await bucket.put(key, []) }
            try expectEqual(
                try await bucket.keys().sorted(), ["user.1.name", "user.2.age", "user.2.name", "x/y=_-"], "all keys")
            try expectEqual(
                try await bucket.keys(matching: "user.*.name").sorted(), ["user.1.name", "user.2.name"], "the names")
            try expectEqual(
                try await bucket.keys(matching: "user.2.>").sorted(), ["user.2.age", "user.2.name"], "the second user")
            try expectEqual(try await bucket.keys(matching: "none.*"), [], "keys of none")
        },
        Case("keys that are not allowed are refused") { bus in
            let bucket = try await bucket(on: bus)
            for key in ["", ".", "a.", ".a", "a..b", "a b", "a.*", ">", "ä", "a\r\nb"] {
                try await expectError(.invalidArgument, "writing \(key.debugDescription)") {
                    try await bucket.put(key, [])
                }
                try await expectError(.invalidArgument, "reading \(key.debugDescription)") {
                    _ = try await bucket.get(key)
                }
            }
        },
        Case("a watch gives what is there, says when that was all, then gives each change in order") { bus in
            let bucket = try await bucket(on: bus)
            try await bucket.put("a.1", bytes("old"))
            try await bucket.put("a.2", bytes("gone"))
            try await bucket.delete("a.2")
            try await bucket.put("b.1", bytes("other"))
            var events = try await bucket.watch("a.*", bufferLimit: 100).makeAsyncIterator()
            let present = try entry(try await next(&events))
            try expectEqual(present.key, "a.1", "the present key")
            try expectEqual(present.value, bytes("old"), "the present value")
            try expectEqual(try await next(&events), .caughtUp, "the event after what was there")
            try await bucket.put("b.1", bytes("not watched"))
            let revision = try await bucket.put("a.3", bytes("new"))
            try await bucket.delete("a.1")
            let put = try entry(try await next(&events))
            try expectEqual(put.key, "a.3", "the changed key")
            try expectEqual(put.revision, revision, "the change's revision")
            let deletion = try entry(try await next(&events))
            try expectEqual(deletion.key, "a.1", "the deleted key")
            try expectEqual(deletion.operation, .delete, "the operation")
            try expectEqual(deletion.value, [], "the deleted value")
        },
        Case("a watch of nothing says so and goes on") { bus in
            let bucket = try await bucket(on: bus)
            var events = try await bucket.watch(">", bufferLimit: 10).makeAsyncIterator()
            try expectEqual(try await next(&events), .caughtUp, "the first event")
            try await bucket.put("a", bytes("1"))
            try expectEqual(try entry(try await next(&events)).value, bytes("1"), "the change")
        },
        Case("what is there when a watch begins is given whole, however small the buffer") { bus in
            let bucket = try await bucket(on: bus)
            for number in 0..<50 { try await bucket.put("k\(number)", bytes("\(number)")) }
            var events = try await bucket.watch(">", bufferLimit: 5).makeAsyncIterator()
            for number in 0..<50 { try expectEqual(try entry(try await next(&events)).key, "k\(number)", "the key") }
            try expectEqual(try await next(&events), .caughtUp, "the event after what was there")
        },
        Case("a watch whose reader is too slow says how many changes it lost, and ends") { bus in
            let bucket = try await bucket(on: bus)
            let other = try await bucket.watch(">", bufferLimit: 1000)
            let events = try await bucket.watch(">", bufferLimit: 5)
            for number in 0..<50 { try await bucket.put("k\(number)", bytes("\(number)")) }
            // All fifty have passed once another watch has them.
            var passed = other.makeAsyncIterator()
            while true {
                if case .entry(let entry) = try await next(&passed), entry.value == bytes("49") { break }
            }
            var last: KeyValueEvent?
            var entries = 0
            for await event in events {
                last = event
                if case .entry = event { entries += 1 }
            }
            guard case .lost(let count)? = last else {
                throw ContractViolation("the last event is not .lost", file: #fileID, line: #line)
            }
            try expect(count > 0 && entries < 50, "\(entries) entries and \(count) lost")
        },
    ]
}
