"""The WebSocket itself, on /echo: fragments, control frames, UTF-8, close codes, and compression where it is agreed on."""

import random
import socket
import struct
import zlib

from scenario import *


def frame(opcode, payload=b"", fin=True, rsv=0, mask=b"\x01\x02\x03\x04", length=None):
    """A frame as a client sends it; every part can be wrong."""
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    size = len(payload) if length is None else length
    bit = 0x80 if mask else 0
    if size < 126:
        head += bytes([bit | size])
    elif size < 65536:
        head += bytes([bit | 126]) + struct.pack(">H", size)
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", size)
    if mask:
        payload = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    return head + (mask or b"") + payload


class Raw:
    """A WebSocket without a library's manners."""

    def __init__(self, path="/echo", extensions=None):
        host, port = GATEWAY.split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=LIMIT)
        head = (
            f"GET {path} HTTP/1.1\r\nHost: {GATEWAY}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n")
        if extensions:
            head += f"Sec-WebSocket-Extensions: {extensions}\r\n"
        self.socket.sendall((head + "\r\n").encode())
        self.rest = b""
        while b"\r\n\r\n" not in self.rest:
            more = self.socket.recv(4096)
            if not more:
                raise ConnectionError(self.rest)
            self.rest += more
        self.head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        self.head = self.head.decode()

    def send(self, data):
        self.socket.sendall(data)

    def take(self, count):
        while len(self.rest) < count:
            more = self.socket.recv(65536)
            if not more:
                raise ConnectionError("closed")
            self.rest += more
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def receive(self):
        """The next frame: (first byte, payload)."""
        first, second = self.take(2)
        assert not second & 0x80, "a server masks"
        size = second
        if second == 126:
            size = struct.unpack(">H", self.take(2))[0]
        elif second == 127:
            size = struct.unpack(">Q", self.take(8))[0]
        return first, self.take(size)

    def close_code(self):
        """The code of the close frame that comes next, whatever comes before it."""
        while True:
            first, payload = self.receive()
            if first == 0x88:
                return struct.unpack(">H", payload[:2])[0] if payload else None

    def close(self):
        self.socket.close()


def conformance():
    say("fragments, with control frames between them")
    peer = Raw()
    assert "sec-websocket-extensions" not in peer.head.lower(), peer.head
    peer.send(frame(1, "grü".encode(), fin=False) + frame(9, b"now") + frame(0, b"", fin=False))
    expect("the pong comes at once", peer.receive(), (0x8A, b"now"))
    peer.send(frame(0, "ße".encode()))
    expect("one message", peer.receive(), (0x81, "grüße".encode()))
    peer.send(frame(2, bytes(range(256)) * 300, mask=b"\xff\x00\x55\xaa"))
    expect("binary", peer.receive(), (0x82, bytes(range(256)) * 300))

    say("a character cut by a fragment is one; what is not UTF-8 closes with 1007")
    euro = "€".encode()
    peer.send(frame(1, euro[:1], fin=False) + frame(0, euro[1:]))
    expect("a character", peer.receive(), (0x81, euro))
    peer.send(frame(1, b"\xff\xfe"))
    expect("not UTF-8", peer.close_code(), 1007)

    say("one byte at a time")
    peer = Raw()
    for byte in frame(1, b"slowly") + frame(9, b"") + frame(8, struct.pack(">H", 1000)):
        peer.send(bytes([byte]))
    expect("message", peer.receive(), (0x81, b"slowly"))
    expect("pong", peer.receive(), (0x8A, b""))
    expect("close is echoed", peer.close_code(), 1000)

    say("what no client may send")
    for name, data, code in (
        ("unmasked", frame(1, b"x", mask=b""), 1002), ("RSV1 without an agreement", frame(1, b"x", rsv=4), 1002),
        ("RSV2", frame(1, b"x", rsv=2), 1002), ("opcode 3", frame(3, b"x"), 1002), ("opcode 11", frame(11), 1002),
        ("a fragmented ping", frame(9, b"x", fin=False), 1002), ("a long ping", frame(9, b"x" * 126), 1002),
        ("a continuation of nothing", frame(0, b"x"), 1002),
        ("a message in a message", frame(1, b"a", fin=False) + frame(1, b"b"), 1002),
        ("half a close code", frame(8, b"\x03"), 1002), ("close code 1005", frame(8, struct.pack(">H", 1005)), 1002),
        ("a close reason that is not UTF-8", frame(8, struct.pack(">H", 1000) + b"\xff"), 1007),
        ("a length beyond reason", frame(2, b"", length=1 << 62), 1009),
    ):
        peer = Raw()
        peer.send(data)
        expect(name, peer.close_code(), code)
        peer.close()

    seed = random.randrange(1 << 32)
    say(f"random bytes after a handshake stop nothing (seed {seed})")
    generator = random.Random(seed)
    for _ in range(200):
        peer = Raw()
        with contextlib.suppress(OSError):
            peer.send(generator.randbytes(generator.randrange(1, 400)))
        peer.close()


def compressed(message):
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (compressor.compress(message) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def compression():
    say("compressed messages, in fragments too, and a bomb")
    peer = Raw(extensions="permessage-deflate; client_max_window_bits")
    agreed = peer.head.lower()
    assert "server_no_context_takeover" in agreed and "client_no_context_takeover" in agreed, agreed
    text = json.dumps({"list": list(range(500))}).encode()
    for _ in range(3):
        peer.send(frame(1, compressed(text), rsv=4))
        first, payload = peer.receive()
        expect("compressed", first, 0xC1)
        assert len(payload) < len(text) // 2
        expect("echoed", zlib.decompressobj(-15).decompress(payload + b"\x00\x00\xff\xff"), text)
    packed = compressed(text)
    peer.send(frame(1, packed[:100], fin=False, rsv=4) + frame(9) + frame(0, packed[100:]))
    expect("pong", peer.receive(), (0x8A, b""))
    expect("fragments", zlib.decompressobj(-15).decompress(peer.receive()[1] + b"\x00\x00\xff\xff"), text)
    peer.send(frame(1, b"short"))
    expect("short ones go as they are", peer.receive(), (0x81, b"short"))
    peer.send(frame(1, compressed(b"\xff\xff"), rsv=4))
    expect("not UTF-8 when unpacked", peer.close_code(), 1007)
    for name, data, code in (
        ("RSV1 on a continuation", frame(1, packed[:9], fin=False, rsv=4) + frame(0, packed[9:], rsv=4), 1002),
        ("RSV1 on a ping", frame(9, b"x", rsv=4), 1002), ("not deflate", frame(1, b"\xff" * 50, rsv=4), 1007),
        ("a bomb", frame(2, compressed(b"\0" * (64 << 20)), rsv=4), 1009),
    ):
        peer = Raw(extensions="permessage-deflate")
        peer.send(data)
        expect(name, peer.close_code(), code)
        peer.close()
    peer = Raw("/ws/topic:a", "permessage-deflate")
    peer.send(frame(1, compressed(b'"' + b"x" * 10_000_000 + b'"'), rsv=4))
    expect("a bomb on a channel", peer.close_code(), 1009)
    peer.close()


async def libraries():
    say("the library agrees with itself through us")
    options = {} if os.environ.get("APUS_TEST_COMPRESSION") else {"compression": None}
    async with websockets.connect(f"ws://{GATEWAY}/echo", proxy=None, max_size=None, **options) as peer:
        for message in ("", "a", "ü" * 5000, "x" * 1_000_000, b"", bytes(70_000)):
            await peer.send(message)
            expect("echo", await peer.recv() == message, True)
        await peer.send(iter(["in ", "many ", "", "pieces"]))
        expect("fragments", await peer.recv(), "in many pieces")
        await (await peer.ping(b"x" * 125))


async def broadcasts():
    say("a message to many is the same for those who compress and those who do not")
    text = json.dumps({"text": "hello " * 200})
    async with contextlib.AsyncExitStack() as stack:
        peers = [
            await stack.enter_async_context(websockets.connect(
                f"ws://{GATEWAY}/ws/topic:a", proxy=None, compression=compression))
            for compression in ("deflate", None, "deflate", None)]
        bus = await backend()
        for number in range(5):
            await bus.jetstream().publish("apus.channel.topic.a", text.encode())
        for peer in peers:
            for _ in range(5):
                expect("message", await peer.recv(), text)


async def scenario():
    if os.environ.get("APUS_TEST_COMPRESSION"):
        await asyncio.to_thread(compression)
        await broadcasts()
    else:
        await asyncio.to_thread(conformance)
    await libraries()


if __name__ == "__main__":
    run(scenario)
