"""Hostile clients: what they send is answered or closed, what they cost is bounded, and nobody else notices."""

import random
import resource
import socket as sockets
import struct

from scenario import *
from websocket_echo import Raw, frame

#: Connections that never authenticate.
CROWD = 3000
#: Seconds that a message may take to somebody who reads, while all of that goes on.
PATIENCE = 5.0


def silent_socket(receive_buffer=None):
    host, port = GATEWAY.split(":")
    peer = sockets.socket()
    if receive_buffer:
        peer.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, receive_buffer)
    peer.settimeout(LIMIT)
    peer.connect((host, int(port)))
    return peer


def upgrade(path):
    return (
        f"GET {path} HTTP/1.1\r\nHost: {GATEWAY}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n").encode()


class Witness:
    """Somebody who behaves, all the while: numbers are published, and each must come, in order and soon."""

    def __init__(self):
        self.worst = 0.0
        self.count = 0

    async def watch(self):
        bus = await backend()
        async with plain_socket("topic:witness") as socket:
            while True:
                started = time.monotonic()
                await bus.jetstream().publish("apus.channel.topic.witness", json.dumps(self.count).encode())
                async with asyncio.timeout(LIMIT):
                    expect("the witness's message", json.loads(await socket.recv()), self.count)
                self.worst = max(self.worst, time.monotonic() - started)
                self.count += 1
                await asyncio.sleep(0.02)


async def broken_frames():
    seed = random.randrange(1 << 32)
    say(f"broken frames on every socket route (seed {seed})")
    generator = random.Random(seed)
    good = [
        frame(1, json.dumps({"id": 1, "connect": {}}).encode()), frame(1, b'{"text": "x"}'), frame(9, b"x"),
        frame(1, json.dumps({"id": 2, "subscribe": {"channel": "topic:a"}}).encode()),
        frame(1, b'["1","1","topic:a","phx_join",{}]'), frame(8, struct.pack(">H", 1000)),
    ]
    for path in ("/ws/topic:a", "/connection/websocket", "/socket/websocket?vsn=2.0.0"):
        for _ in range(60):
            data = bytearray(b"".join(generator.choice(good) for _ in range(generator.randrange(1, 5))))
            for _ in range(generator.randrange(1, 6)):
                data[generator.randrange(len(data))] = generator.randrange(256)
            with contextlib.suppress(OSError, ConnectionError):
                peer = Raw(path)
                peer.send(bytes(data))
                peer.close()
    for path in ("/ws/topic:a", "/connection/websocket"):
        peer = Raw(path)
        peer.send(frame(1, b"", length=1 << 40))
        expect(f"an oversized frame on {path}", peer.close_code(), 1009)
        peer.close()


async def names():
    say("names that are none, on every route")
    strange = [
        "room:*", "room:>", "room:a.*.b", "*", ">", "room:a..b", "room:.", "room:", ":", "", "room:\0", "room:a\r\nb",
        "room:\x7f", "room:a b", "Room:a", "../x", "room:" + "x" * 5000, "$SYS:x", "room:%2a", "_INBOX.x", "apus:channel",
    ]
    bus = await backend()
    heard = []

    async def hear(message):
        heard.append(message.subject)

    await bus.subscribe("apus.channel.>", cb=hear)
    async with httpx.AsyncClient(timeout=LIMIT) as http:
        for name in strange:
            quoted = httpx.QueryParams({"channel": name})
            for path in ("/poll", "/events"):
                parameters = {"channel": name, "wait": "0", "token": token("42")}
                async with http.stream("GET", f"http://{GATEWAY}{path}", params=parameters) as answer:
                    assert answer.status_code in (200, 400, 401, 403), (path, name, answer.status_code)
            path = "/ws/" + str(quoted)[len("channel="):].replace("+", "%20")
            peer = None
            with contextlib.suppress(ConnectionError, OSError):
                peer = Raw(path + f"?token={token('42')}")
                if peer.head.startswith("HTTP/1.1 101"):
                    peer.send(frame(1, b'{"to": "everybody"}') + frame(8, struct.pack(">H", 1000)))
                    peer.close_code()
            if peer:
                peer.close()
    async with websockets.connect(f"ws://{GATEWAY}/connection/websocket", proxy=None, compression=None) as socket:
        await socket.send(json.dumps({"id": 1, "connect": {"token": token("42")}}))
        for number, name in enumerate(strange):
            commands = [
                {"id": 10 * number + 10, "subscribe": {"channel": name}},
                {"id": 10 * number + 11, "publish": {"channel": name, "data": {}}},
                {"id": 10 * number + 12, "history": {"channel": name}},
                {"id": 10 * number + 13, "presence": {"channel": name}},
                {"id": 10 * number + 14, "rpc": {"method": name, "data": {}}},
            ]
            await socket.send("\n".join(json.dumps(command) for command in commands))
            await asyncio.sleep(0.12)
        seen = set()
        async with asyncio.timeout(LIMIT):
            while len(seen) < 5 * len(strange):
                for line in (await socket.recv()).splitlines():
                    message = json.loads(line)
                    if message == {}:
                        await socket.send("{}")
                    elif message.get("id", 0) >= 10:
                        seen.add(message["id"])
    # Whatever was a name after all is that one name and no pattern.
    assert all("*" not in subject and ">" not in subject for subject in heard), heard


async def tokens():
    say("expired and forged tokens")
    for bearer in (
        token("42", ttl=-10), jwt.encode({"sub": "42"}, "another secret of at least 32 bytes", algorithm="HS256"),
        jwt.encode({"sub": "42"}, None, algorithm="none"), token("42")[:-3] + "abc", "a.b.c", "x" * 8000,
        token("42", nbf=int(time.time()) + 600),
    ):
        async with httpx.AsyncClient(timeout=LIMIT) as http:
            for path in ("/poll?channel=room:a&wait=0", "/events?channel=room:a"):
                answer = await http.get(f"http://{GATEWAY}{path}", headers={"Authorization": f"Bearer {bearer}"})
                expect(f"{path} with {bearer[:20]}", answer.status_code, 401)
        peer = Raw(f"/ws/room:a?token={bearer}")
        expect("plain", peer.close_code(), 4001)
        peer.close()
        peer = Raw("/connection/websocket")
        peer.send(frame(1, json.dumps({"id": 1, "connect": {"token": bearer}}).encode()))
        first, payload = peer.receive()
        if first == 0x81:
            expect("an expired one may be renewed", json.loads(payload)["error"]["code"], 109)
        else:
            expect("centrifuge", struct.unpack(">H", payload[:2])[0], 3500)
        peer.close()


async def crowd():
    say(f"{CROWD} connections that never authenticate, and some that send their heads in drips")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 3 * CROWD)), hard))
    peers = []

    def connect():
        for number in range(CROWD):
            peer = silent_socket()
            peer.setblocking(False)
            if number % 3 == 1:
                peer.send(upgrade("/connection/websocket"))
            if number % 3 == 2:
                peer.send(b"GET /ws/topic:a HTTP/1.1\r\nHost: ")
            peers.append(peer)

    await asyncio.to_thread(connect)
    dripping = peers[2::3][:100]
    for _ in range(4):
        for peer in dripping:
            with contextlib.suppress(OSError):
                peer.send(b"x")
        await asyncio.sleep(1)

    def gone(peer):
        try:
            while peer.recv(4096):
                pass
            return True
        except BlockingIOError:
            return False
        except OSError:
            return True

    waiting = list(peers)

    def all_gone():
        waiting[:] = [peer for peer in waiting if not gone(peer)]
        return not waiting

    await eventually("all of them closed", all_gone, 60)
    for peer in peers:
        peer.close()


async def slow_bodies():
    say("a body in drips is closed")
    peer = silent_socket()
    peer.sendall(
        f"POST /rpc/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token('42')}\r\nContent-Length: 100000\r\n\r\n".encode())
    started = time.monotonic()
    peer.setblocking(False)
    while time.monotonic() - started < 60:
        try:
            peer.send(b"1")
            if peer.recv(4096) == b"":
                break
        except BlockingIOError:
            pass
        except OSError:
            break
        await asyncio.sleep(0.5)
    assert 10 < time.monotonic() - started < 45, time.monotonic() - started
    peer.close()


async def never_readers():
    say("readers that never read, with every policy, beside readers that do")
    bus = await backend()
    stalled = []
    for namespace in ("fire", "latest", "oldest"):
        for _ in range(15):
            peer = silent_socket(receive_buffer=4096)
            peer.sendall(upgrade(f"/ws/{namespace}:hose"))
            stalled.append(peer)
    for _ in range(15):
        peer = silent_socket(receive_buffer=4096)
        peer.sendall(b"GET /events?channel=fire:hose HTTP/1.1\r\nHost: x\r\n\r\n")
        stalled.append(peer)
    count = 1500
    payload = "x" * 10_000
    async with plain_socket("fire:hose", max_size=None, compression=None) as fast, plain_socket(
        "latest:hose", max_size=None, compression=None
    ) as newest:
        await eventually("all are there", lambda: at_least(r"apus_gateway_subscriptions\{", len(stalled) + 2))
        process = gateway_process()
        before = resident_megabytes(process)
        peak = before
        received = []

        async def read():
            while len(received) < count:
                message = json.loads(await fast.recv())
                received.append((message["n"], time.time() - message["at"]))

        async def read_newest():
            async for _ in newest:
                pass

        reading, draining = asyncio.create_task(read()), asyncio.create_task(read_newest())
        for number in range(count):
            # As fast as the reader takes it: slow ones must not slow it down.
            while number - len(received) > 30:
                await asyncio.sleep(0.001)
            text = json.dumps({"n": number, "at": time.time(), "x": payload}).encode()
            for namespace in ("fire", "latest", "oldest"):
                await bus.publish(f"apus.channel.{namespace}.hose", text)
            if number % 50 == 0:
                await bus.flush()
                peak = max(peak, resident_megabytes(process))
        await bus.flush()
        async with asyncio.timeout(LIMIT):
            await reading
        draining.cancel()
    expect("everything, in order", [number for number, _ in received], list(range(count)))
    worst = max(delay for _, delay in received)
    say(f"worst delay {worst * 1000:.0f} ms, memory {before:.0f} MB before and {peak:.0f} MB at the most")
    assert worst < PATIENCE, worst
    # 60 of them with 256 kB each, twice over, and what the allocator keeps.
    assert peak - before < 120, (before, peak)
    for policy in ("disconnect", "latest", "drop_oldest"):
        assert await metric("gateway", rf'apus_gateway_slow_total\{{policy="{policy}"\}}') > 0, policy
    # They neither read nor answer pings: whatever the policy, they are gone in the end.
    await eventually("none of them is left", lambda: at_most(r"apus_gateway_connections\{", 1), 90)
    for peer in stalled:
        peer.close()


async def at_least(pattern, value):
    return await metric("gateway", pattern) >= value


async def at_most(pattern, value):
    return await metric("gateway", pattern) <= value


async def scenario():
    witness = Witness()
    watching = asyncio.create_task(witness.watch())
    drips = asyncio.create_task(slow_bodies())
    for attack in (broken_frames, names, tokens, crowd, never_readers):
        await attack()
        if watching.done():
            await watching
        say(f"the witness has {witness.count} messages, the slowest after {witness.worst * 1000:.0f} ms")
    await drips
    assert witness.worst < PATIENCE, witness.worst
    assert witness.count > 100, witness.count
    watching.cancel()


run(scenario)
