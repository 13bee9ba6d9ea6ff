import COpenSSL
import Glibc
import TLS
import TestKit
import Testing

@Suite("TLS session", .timeLimit(.minutes(2)))
struct SessionTests {
    private static let versions = [TLS1_2_VERSION, TLS1_3_VERSION]

    @Test("TLS 1.2 and 1.3 carry bytes both ways, and say when the client sends no more", arguments: versions)
    func bothWays(version: Int32) throws {
        let pair = try SessionPair(ServerFiles("a"), maximumVersion: version)
        #expect(pair.shakeHands() == .done)
        #expect(SSL_version(pair.client) == version)
        #expect(pair.serverReads().0 == .wantsRead)
        pair.clientWrites(Array("hello".utf8))
        #expect(pair.serverReads().1 == Array("hello".utf8))
        #expect(pair.serverWrites(Array("you".utf8)) == .bytes(3))
        #expect(pair.clientReads() == Array("you".utf8))
        SSL_shutdown(pair.client)
        pair.carry()
        #expect(pair.serverReads().0 == .end)
        pair.server.endWriting()
        pair.server.endWriting()
        #expect(pair.clientReads().isEmpty)
        #expect(SSL_get_shutdown(pair.client) & SSL_RECEIVED_SHUTDOWN != 0)
    }

    @Test("older versions are refused")
    func oldVersion() throws {
        let pair = try SessionPair(ServerFiles("a"), maximumVersion: TLS1_1_VERSION)
        guard case .failed(let failure) = pair.shakeHands() else { return #expect(Bool(false), "not refused") }
        #expect(failure.kind == .version)
    }

    @Test("http/1.1 is the only protocol inside, wherever it stands in the offer; who offers none is served")
    func applicationProtocol() throws {
        let files = try ServerFiles("a")
        for offer in [["http/1.1"], ["h2", "http/1.1"], ["http/1.0", "http/1.1", "h2"]] {
            let pair = try SessionPair(files, alpn: offer)
            #expect(pair.shakeHands() == .done)
            #expect(pair.protocolInside == "http/1.1")
        }
        #expect(try SessionPair(files).shakeHands() == .done)
        let other = try SessionPair(files, alpn: ["h2", "http/1.0"])
        guard case .failed(let failure) = other.shakeHands() else { return #expect(Bool(false), "not refused") }
        #expect(failure.kind == .alpn)
    }

    @Test("a read with room for a record leaves nothing behind; with less the rest is pending")
    func records() throws {
        let pair = try SessionPair(ServerFiles("a"))
        #expect(pair.shakeHands() == .done)
        let message = (0..<40_000).map { UInt8(truncatingIfNeeded: $0) }
        pair.clientWrites(message)
        var taken: [UInt8] = []
        while case (.bytes(let count), let bytes) = pair.serverReads(room: TLSSession.maximumRecordBytes) {
            #expect(count <= TLSSession.maximumRecordBytes)
            #expect(pair.server.pendingBytes == 0)
            taken += bytes
        }
        #expect(taken == message)
        pair.clientWrites([1, 2, 3, 4, 5])
        #expect(pair.serverReads(room: 2).1 == [1, 2])
        #expect(pair.server.pendingBytes == 3)
        #expect(pair.serverReads(room: 16).1 == [3, 4, 5])
    }

    @Test("a write that the descriptor does not take goes on later, with the same bytes elsewhere and more behind them")
    func blockedWrite() throws {
        let pair = try SessionPair(ServerFiles("a"))
        #expect(pair.shakeHands() == .done)
        let message = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 / 7) }
        var (sent, taken, times): (Int, [UInt8], Int) = (0, [], 0)
        var size = 1000
        while sent < message.count {
            let piece = Array(message[sent..<min(message.count, sent + size)])
            switch pair.serverWrites(piece) {
            case .bytes(let count):
                sent += count
                size = 1000
            case .wantsWrite:
                times += 1
                size += 333
                taken += pair.clientReads()
            default: return #expect(Bool(false), "failed")
            }
        }
        taken += pair.clientReads()
        #expect(times > 1)
        #expect(taken == message)
    }

    @Test("a handshake that is cut at any byte waits for the rest, and ends when the client does", arguments: versions)
    func cutHandshake(version: Int32) throws {
        let files = try ServerFiles("a")
        let context = try TLSContext(certificateFile: files.path("a.pem"), keyFile: files.path("a.key"))
        let whole = try SessionPair(context, maximumVersion: version)
        SSL_do_handshake(whole.client)
        let hello = SessionPair.take(whole.clientWire)
        #expect(hello.count > 100)
        for end in 0..<hello.count {
            let pair = try SessionPair(context, maximumVersion: version)
            SessionPair.put(hello[..<end], pair.serverWire)
            #expect(pair.server.handshake() == .wantsRead)
            shutdown(pair.serverWire, Int32(SHUT_WR))
            guard case .failed(let failure) = pair.server.handshake() else {
                return #expect(Bool(false), "cut at \(end): no failure")
            }
            #expect(failure.kind == .gone, "cut at \(end)")
            #expect(pair.serverReads().0 == .end)
            #expect(pair.serverWrites([1]) == .end)
            pair.server.endWriting()
        }
    }

    @Test("a handshake whose bytes come one by one is done", arguments: versions)
    func byteByByte(version: Int32) throws {
        let pair = try SessionPair(ServerFiles("a"), maximumVersion: version)
        for _ in 0..<20 {
            SSL_do_handshake(pair.client)
            for byte in SessionPair.take(pair.clientWire) {
                SessionPair.put([byte], pair.serverWire)
                if pair.server.handshake() == .done { return }
            }
            SessionPair.put(SessionPair.take(pair.serverWire), pair.clientWire)
        }
        #expect(Bool(false), "not done")
    }

    @Test(
        "garbage fails as no TLS and leaves nothing for the next session of the thread",
        arguments: [
            "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n", "SSH-2.0-client\r\n", String(repeating: "\u{0}", count: 64),
        ])
    func garbage(text: String) throws {
        let files = try ServerFiles("a")
        let pair = try SessionPair(files)
        SessionPair.put(text.utf8, pair.serverWire)
        guard case .failed(let failure) = pair.server.handshake() else { return #expect(Bool(false), "no failure") }
        #expect([.notTLS, .other].contains(failure.kind))
        #expect(!failure.reason.isEmpty)
        #expect(pair.serverReads().0 == .end)
        #expect(try SessionPair(files).shakeHands() == .done)
    }

    @Test("mutated handshakes and records fail or wait, and never trap", arguments: 0..<300)
    func mutated(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let version = Bool.random(using: &random) ? TLS1_2_VERSION : TLS1_3_VERSION
        let pair = try SessionPair(Self.files.get(), maximumVersion: version)
        let mutatedRound = Int.random(in: 0..<4, using: &random)
        var state = TLSSession.Handshake.wantsRead
        for round in 0..<6 where state == .wantsRead {
            SSL_do_handshake(pair.client)
            var bytes = SessionPair.take(pair.clientWire)
            if round == mutatedRound { bytes = Mutation.mutate(bytes, using: &random) }
            SessionPair.put(bytes, pair.serverWire)
            state = pair.server.handshake()
            SessionPair.put(SessionPair.take(pair.serverWire), pair.clientWire)
        }
        if state == .done {
            SSL_do_handshake(pair.client)
            SSL_write(pair.client, Array("a message".utf8), 9)
            SessionPair.put(Mutation.mutate(SessionPair.take(pair.clientWire), using: &random), pair.serverWire)
            for _ in 0..<4 {
                let (outcome, bytes) = pair.serverReads()
                // What was changed on the way is never passed on.
                if case .bytes = outcome { #expect(bytes == Array("a message".utf8), "seed \(seed)") }
            }
            _ = pair.serverWrites([1, 2, 3])
        }
        pair.server.endWriting()
    }

    private static let files = Result { try ServerFiles("a") }

    @Test("a client cannot have the handshake repeated, and updates of keys carry nothing")
    func afterHandshake() throws {
        let files = try ServerFiles("a")
        let old = try SessionPair(files, maximumVersion: TLS1_2_VERSION)
        #expect(old.shakeHands() == .done)
        SSL_renegotiate(old.client)
        SSL_do_handshake(old.client)
        old.carry()
        #expect(old.serverReads().0 == .wantsRead)
        #expect(SSL_do_handshake(old.client) != 1)

        let new = try SessionPair(files)
        #expect(new.shakeHands() == .done)
        for _ in 0..<100 {
            SSL_key_update(new.client, SSL_KEY_UPDATE_REQUESTED)
            SSL_do_handshake(new.client)
            new.carry()
            #expect(new.serverReads().0 == .wantsRead)
        }
        new.clientWrites([7])
        // Each read goes through one record at most, whatever it holds; the loop tells again while there are more.
        var seen: [TLSSession.Outcome] = []
        while seen.last != .bytes(1), seen.count < 300 { seen.append(new.serverReads().0) }
        #expect(seen.last == .bytes(1))
        #expect(new.serverWrites([8]) == .bytes(1))
        #expect(new.clientReads() == [8])
    }
}
