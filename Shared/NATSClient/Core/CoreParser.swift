internal import Glibc

/// Reads what a NATS server sends, from pieces that may end anywhere. Reads nothing twice and copies only an operation
/// that a piece does not hold whole.
///
/// After an error it is of no use any more.
package struct CoreParser: ~Copyable {
    /// The largest message with its headers that is accepted.
    var maximumPayload = CoreParser.largestPayload

    package init() {}

    private var carried = CarriedBytes()
    /// How many bytes the carried operation has in all; 0 until its line is whole.
    private var carriedLength = 0
    /// Whether the carried bytes are those of the operation that was returned last.
    private var isCarriedDone = false

    /// What a server accepts of a line by default, and what it adds when it passes the message on.
    static let maximumLine = 4096 + 64
    /// Of a large cluster it holds hundreds of addresses.
    static let maximumInformation = 128 * 1024
    /// nats-server's own limit of `max_payload`.
    static let largestPayload = 64 * 1024 * 1024

    /// The next operation, and what follows it in `input`; nil if the rest of `input` is not a whole one, and is kept.
    package mutating func next(_ input: inout UnsafeRawBufferPointer) throws(CoreProtocolError) -> CoreOperation? {
        if isCarriedDone {
            carried.removeAll()
            isCarriedDone = false
        }
        guard carried.count > 0 else { return try nextUncarried(&input) }
        while !input.isEmpty {
            carried.append(input.removePrefix(missing(from: input)))
            switch try frame(carried.bytes) {
            case .whole(let operation, _):
                carriedLength = 0
                isCarriedDone = true
                return operation
            case .partial(let length): carriedLength = length
            }
        }
        return nil
    }

    private mutating func nextUncarried(
        _ input: inout UnsafeRawBufferPointer
    ) throws(CoreProtocolError) -> CoreOperation? {
        guard !input.isEmpty else { return nil }
        switch try frame(input) {
        case .whole(let operation, let length):
            _ = input.removePrefix(length)
            return operation
        case .partial(let length):
            carriedLength = length
            carried.append(input.removePrefix(input.count))
            return nil
        }
    }

    /// Whole messages that lie in `input` one after the other, up to `limit`. They live as long as `input` does, but for one
    /// that had to be carried, which is then the only one and lives until more is asked for.
    /// - Parameter messages: to which they are added, also if an error follows them.
    /// - Returns: what came after them, if it was another operation.
    mutating func nextMessages(
        _ input: inout UnsafeRawBufferPointer, limit: Int, into messages: inout [CoreMessage]
    ) throws(CoreProtocolError) -> CoreOperation? {
        while messages.count < limit, let operation = try next(&input) {
            guard case .message(let message) = operation else { return operation }
            messages.append(message)
            if isCarriedDone { break }
        }
        return nil
    }

    /// How many bytes of `input` belong to the carried operation, as far as is known.
    private func missing(from input: UnsafeRawBufferPointer) -> Int {
        if carriedLength > 0 { return min(carriedLength - carried.count, input.count) }
        return input.firstIndex(of: newline, within: input.count).map { $0 + 1 } ?? input.count
    }

    private enum Frame {
        case whole(CoreOperation, length: Int)
        /// Of how many bytes in all; 0 while the line has no end.
        case partial(length: Int)
    }

    /// Reads the operation at the start of `bytes`.
    private func frame(_ bytes: UnsafeRawBufferPointer) throws(CoreProtocolError) -> Frame {
        let isInformation = bytes[0] | 0x20 == UInt8(ascii: "i")
        let limit = isInformation ? CoreParser.maximumInformation : CoreParser.maximumLine
        guard let end = bytes.firstIndex(of: newline, within: limit) else {
            guard bytes.count < limit else { throw .lineTooLong }
            return .partial(length: 0)
        }
        var line = UnsafeRawBufferPointer(rebasing: bytes[..<end])
        if line.last == carriageReturn { line = UnsafeRawBufferPointer(rebasing: line.dropLast()) }
        let rest = UnsafeRawBufferPointer(rebasing: bytes[(end + 1)...])
        if let words = line.words(after: "MSG ") {
            return try message(words, hasHeaders: false, rest, lineLength: end + 1)
        }
        if let words = line.words(after: "HMSG ") {
            return try message(words, hasHeaders: true, rest, lineLength: end + 1)
        }
        return .whole(try simple(line), length: end + 1)
    }

    private func simple(_ line: UnsafeRawBufferPointer) throws(CoreProtocolError) -> CoreOperation {
        if line.isNothing(but: "PING") { return .ping }
        if line.isNothing(but: "PONG") { return .pong }
        if line.isNothing(but: "+OK") { return .ok }
        if let words = line.words(after: "-ERR ") { return .error(words) }
        if let words = line.words(after: "INFO ") { return .information(words) }
        throw .unknownOperation
    }

    /// `MSG subject sid [reply-to] bytes`, or `HMSG subject sid [reply-to] header-bytes bytes`; then so many bytes.
    private func message(
        _ words: UnsafeRawBufferPointer, hasHeaders: Bool, _ rest: UnsafeRawBufferPointer, lineLength: Int
    ) throws(CoreProtocolError) -> Frame {
        var words = words
        guard let subject = words.nextWord(), let subscription = words.nextWord()?.number else { throw .malformed }
        let replyTo: UnsafeRawBufferPointer?
        let headerLength: Int?
        let length: Int?
        switch (hasHeaders, words.nextWord(), words.nextWord(), words.nextWord(), words.nextWord()) {
        case (false, let total?, nil, nil, nil): (replyTo, headerLength, length) = (nil, 0, total.number)
        case (false, let reply?, let total?, nil, nil): (replyTo, headerLength, length) = (reply, 0, total.number)
        case (true, let first?, let total?, nil, nil):
            (replyTo, headerLength, length) = (nil, first.number, total.number)
        case (true, let reply?, let first?, let total?, nil):
            (replyTo, headerLength, length) = (reply, first.number, total.number)
        default: throw .malformed
        }
        guard let headerLength, let length, headerLength <= length else { throw .malformed }
        guard length <= maximumPayload else { throw .payloadTooLarge(length) }
        guard rest.count >= length + 2 else { return .partial(length: lineLength + length + 2) }
        guard rest[length] == carriageReturn, rest[length + 1] == newline else { throw .unterminatedPayload }
        return .whole(
            .message(
                CoreMessage(
                    subscription: subscription, subject: subject,
                    replyTo: replyTo ?? UnsafeRawBufferPointer(start: nil, count: 0),
                    headers: UnsafeRawBufferPointer(rebasing: rest[..<headerLength]),
                    payload: UnsafeRawBufferPointer(rebasing: rest[headerLength..<length]))),
            length: lineLength + length + 2)
    }
}

private let newline = UInt8(ascii: "\n")
private let carriageReturn = UInt8(ascii: "\r")

extension UnsafeRawBufferPointer {
    /// Takes the first `count` bytes away and returns them.
    fileprivate mutating func removePrefix(_ count: Int) -> UnsafeRawBufferPointer {
        let prefix = UnsafeRawBufferPointer(rebasing: self[..<count])
        self = UnsafeRawBufferPointer(rebasing: self[count...])
        return prefix
    }

    fileprivate func firstIndex(of byte: UInt8, within limit: Int) -> Int? {
        guard let start = baseAddress, let found = memchr(start, Int32(byte), Swift.min(count, limit)) else {
            return nil
        }
        return UnsafeRawPointer(found) - start
    }

    /// What follows `verb`, in whatever case that is written, where a space stands for any blank; nil if this begins
    /// otherwise.
    fileprivate func words(after verb: StaticString) -> UnsafeRawBufferPointer? {
        let length = verb.utf8CodeUnitCount
        guard count >= length else { return nil }
        for index in 0..<length {
            let expected = verb.utf8Start[index]
            let found = self[index]
            guard
                found == expected || (expected.isLetter && found == expected | 0x20)
                    || (expected.isBlank && found.isBlank)
            else { return nil }
        }
        return UnsafeRawBufferPointer(rebasing: self[length...])
    }

    fileprivate func isNothing(but verb: StaticString) -> Bool {
        guard var rest = words(after: verb) else { return false }
        return rest.nextWord() == nil
    }

    /// Takes the next word away; words are separated by spaces and tabs.
    fileprivate mutating func nextWord() -> UnsafeRawBufferPointer? {
        var start = 0
        while start < count, self[start].isBlank { start += 1 }
        guard start < count else { return nil }
        var end = start
        while end < count, !self[end].isBlank { end += 1 }
        let word = UnsafeRawBufferPointer(rebasing: self[start..<end])
        self = UnsafeRawBufferPointer(rebasing: self[end...])
        return word
    }

    /// The number that is written here in up to nine digits, for neither sizes nor subscriptions have more.
    fileprivate var number: Int? {
        guard (1...9).contains(count) else { return nil }
        var number = 0
        for byte in self {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
            number = number * 10 + Int(byte - UInt8(ascii: "0"))
        }
        return number
    }
}

extension UInt8 {
    fileprivate var isLetter: Bool { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(self) }
    fileprivate var isBlank: Bool { self == UInt8(ascii: " ") || self == UInt8(ascii: "\t") }
}
