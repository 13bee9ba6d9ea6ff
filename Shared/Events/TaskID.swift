/// Names one task, for its whole life: 1 to 128 letters, digits, `_`, `-` and dots (none at an end, no two in a row).
///
/// What that allows fits everywhere an id travels: in a channel's name, a subject, a key of a bucket. Ids made here are
/// ULIDs (48 bits of milliseconds, then 80 others, in Crockford's base 32), so that they sort by the time of submission;
/// ids that come from elsewhere may be anything that is allowed.
public struct TaskID: Sendable, Hashable, CustomStringConvertible {
    public static let maximumLength = 128

    public let description: String

    /// - Returns: nil for text that may not be a task's id.
    public init?(_ text: String) {
        guard (1...TaskID.maximumLength).contains(text.utf8.count) else { return nil }
        // As if one stood before the first.
        var followsDot = true
        for byte in text.utf8 {
            let isDot = byte == UInt8(ascii: ".")
            guard SubjectToken.isPlain(byte), !(isDot && followsDot) else { return nil }
            followsDot = isDot
        }
        guard !followsDot else { return nil }
        description = text
    }

    private init(moment: Timestamp, high: UInt16, low: UInt64) {
        // Moments before 1970 or past the year 10889 do not sort, but still give an id.
        let milliseconds = UInt64(clamping: moment.nanoseconds / 1_000_000) & 0xFFFF_FFFF_FFFF
        var characters: [UInt8] = []
        characters.reserveCapacity(26)
        for shift in stride(from: 45, through: 0, by: -5) {
            characters.append(TaskID.alphabet[Int(milliseconds >> UInt64(shift) & 31)])
        }
        for shift in stride(from: 75, through: 0, by: -5) {
            // Five of the eighty bits, the upper sixteen of which are in `high`.
            let bits =
                shift >= 64
                ? UInt64(high) >> UInt64(shift - 64)
                : low >> UInt64(shift) | (shift > 59 ? UInt64(high) << UInt64(64 - shift) : 0)
            characters.append(TaskID.alphabet[Int(bits & 31)])
        }
        description = String(decoding: characters, as: UTF8.self)
    }

    /// A new id for a task submitted at `moment`.
    public static func generate(at moment: Timestamp, using random: inout some RandomNumberGenerator) -> TaskID {
        TaskID(
            moment: moment, high: UInt16.random(in: .min ... .max, using: &random),
            low: UInt64.random(in: .min ... .max, using: &random))
    }

    /// The id of a task that came without one: the same however often the queue's message is delivered, and another
    /// one in another life of the stream, whose sequences begin again but whose clock does not.
    public static func derived(storedAt: Timestamp, sequence: UInt64) -> TaskID {
        TaskID(moment: storedAt, high: UInt16(truncatingIfNeeded: storedAt.nanoseconds), low: sequence)
    }

    /// The id of a task that `text` names for good: the same whoever makes it, so that making it again makes nothing new.
    /// - Parameter moment: when it came about; a part of the name too.
    public static func derived(from text: String, at moment: Timestamp) -> TaskID {
        // FNV-1a with 128 bits, of which an id takes eighty.
        var hash: UInt128 = 144_066_263_297_769_815_596_495_629_667_062_367_629
        for byte in text.utf8 { hash = (hash ^ UInt128(byte)) &* 309_485_009_821_345_068_724_781_371 }
        return TaskID(
            moment: moment, high: UInt16(truncatingIfNeeded: hash >> 112 ^ hash >> 64),
            low: UInt64(truncatingIfNeeded: hash))
    }

    /// When the task was submitted, to the millisecond, if the id tells.
    public var moment: Timestamp? {
        let bytes = Array(description.utf8)
        guard bytes.count == 26 else { return nil }
        var milliseconds: UInt64 = 0
        for (index, byte) in bytes.enumerated() {
            guard let digit = TaskID.alphabet.firstIndex(of: byte) else { return nil }
            if index < 10 { milliseconds = milliseconds << 5 | UInt64(digit) }
        }
        guard milliseconds <= 0xFFFF_FFFF_FFFF else { return nil }
        let (nanoseconds, overflow) = Int64(milliseconds).multipliedReportingOverflow(by: 1_000_000)
        return overflow ? nil : Timestamp(nanoseconds: nanoseconds)
    }

    private static let alphabet = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ".utf8)

    /// Of the channels on which tasks are told.
    public static let namespace = "task"

    /// `task:<id>`: where the changes of this task are published.
    public var channel: ChannelName {
        // What an id may be is narrower than what a channel's name may be.
        guard let channel = try? ChannelName(namespace: TaskID.namespace, name: description) else {
            preconditionFailure("a task's id is a channel's name")
        }
        return channel
    }
}
