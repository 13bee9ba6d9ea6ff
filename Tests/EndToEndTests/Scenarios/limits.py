"""Every limit has an answer in each protocol, and a metric."""

from scenario import *
from websocket_echo import Raw, frame


async def limited(name):
    return await metric("gateway", rf'apus_gateway_limited_total\{{limit="{name}"\}}')


async def counted(name, before):
    await eventually(f"the metric of {name}", lambda: more(name, before))


async def more(name, before):
    return await limited(name) > before


async def close_of(socket):
    """How a server closes: (code, reason)."""
    try:
        async with asyncio.timeout(LIMIT):
            while True:
                await socket.recv()
    except websockets.ConnectionClosed as closed:
        return closed.rcvd and (closed.rcvd.code, closed.rcvd.reason)


@contextlib.asynccontextmanager
async def centrifuge_socket(bearer):
    async with websockets.connect(f"ws://{GATEWAY}/connection/websocket", proxy=None, compression=None) as socket:
        await socket.send(json.dumps({"id": 1, "connect": {"token": bearer}}))
        reply = json.loads(await socket.recv())
        assert "connect" in reply, reply
        yield socket


async def ask(socket, command):
    """A command's reply; pings on the way are answered."""
    await socket.send(json.dumps(command))
    async with asyncio.timeout(LIMIT):
        while True:
            for line in (await socket.recv()).splitlines():
                message = json.loads(line)
                if message == {}:
                    await socket.send("{}")
                elif message.get("id") == command["id"]:
                    return message


async def scenario():
    say("channels of a connection, and the length of a name")
    async with centrifuge_socket(token("a")) as socket:
        before = await limited("channel_name_bytes")
        error = (await ask(socket, {"id": 2, "subscribe": {"channel": "topic:" + "x" * 21}}))["error"]
        expect("code", error["code"], 107)
        assert "20 bytes" in error["message"], error
        await counted("channel_name_bytes", before)
        before = await limited("channels_per_connection")
        for number in range(5):
            reply = await ask(socket, {"id": 10 + number, "subscribe": {"channel": f"topic:{number}"}})
        expect("code", reply["error"]["code"], 106)
        await counted("channels_per_connection", before)
    async with httpx.AsyncClient(timeout=LIMIT) as http:
        for path in ("/events", "/poll"):
            for channels in ([f"topic:{n}" for n in range(9)], ["topic:" + "x" * 21]):
                answer = await http.get(
                    f"http://{GATEWAY}{path}", params=[("channel", c) for c in channels] + [("token", token("a"))])
                expect(f"{path} with {channels}", answer.status_code, 400)
                assert answer.json()["error"]["message"], answer.text
    async with plain_socket("topic:" + "x" * 21, token("a")) as socket:
        expect("plain", (await close_of(socket))[0], 1008)

    say("the size of a message")
    before = await limited("message_bytes")
    async with plain_socket("room:lobby", token("b"), compression=None) as socket:
        await socket.send(json.dumps("x" * 3000))
        expect("plain", (await close_of(socket))[0], 1009)
    async with centrifuge_socket(token("b")) as socket:
        await socket.send(json.dumps({"id": 2, "rpc": {"method": "x", "data": "x" * 3000}}))
        expect("centrifuge", (await close_of(socket))[0], 1009)
    await counted("message_bytes", before + 1)

    say("messages of a connection: an answer that says when to go on, and the end of those who go on all the same")
    before = await limited("connection_messages_per_second")
    async with plain_socket("room:lobby", token("c")) as socket:
        for number in range(40):
            await socket.send(json.dumps(number))
        answer = await receive(socket, lambda message: isinstance(message, dict))
        expect("error", answer["error"], "Rate limit exceeded")
        assert answer["retry_after"] >= 1, answer
        await asyncio.sleep(answer["retry_after"])
        await socket.send('{"after": "the wait"}')
        await receive(socket, lambda message: message == {"after": "the wait"})
    await counted("connection_messages_per_second", before)
    async with plain_socket("room:lobby", token("d")) as socket:
        with contextlib.suppress(websockets.ConnectionClosed):
            for number in range(1000):
                await socket.send(json.dumps(number))
        expect("who goes on", (await close_of(socket))[0], 4029)
    async with centrifuge_socket(token("e")) as socket:
        for number in range(40):
            await socket.send(json.dumps({"id": 100 + number, "ping": {}}))
        error = (await ask(socket, {"id": 500, "ping": {}}))["error"]
        expect("centrifuge", (error["code"], error["temporary"]), (111, True))

    say("messages of a user, over connections and requests")
    before = await limited("user_messages_per_minute")
    bearer = token("f")
    async with httpx.AsyncClient(timeout=LIMIT) as http:
        headers = {"Authorization": f"Bearer {bearer}"}
        statuses = []
        for number in range(120):
            answer = await http.post(f"http://{GATEWAY}/rpc/nobody.answers", json={}, headers=headers)
            statuses.append(answer.status_code)
            if answer.status_code == 429:
                break
        expect("in the end", statuses[-1], 429)
        assert len(statuses) > 90, len(statuses)
        assert int(answer.headers["retry-after"]) >= 1, answer.headers
        answer = await http.get(f"http://{GATEWAY}/poll?channel=topic:a&wait=0", headers=headers)
        expect("polls too", answer.status_code, 429)
        assert int(answer.headers["retry-after"]) >= 1, answer.headers
    async with plain_socket("room:lobby", bearer) as socket:
        await socket.send('"one more"')
        expect("sockets too", (await receive(socket))["error"], "Rate limit exceeded")
    async with plain_socket("room:lobby", token("g")) as socket:
        await socket.send('"somebody else"')
        expect("nobody else", await receive(socket), "somebody else")
    await counted("user_messages_per_minute", before)

    say("connections of a user")
    before = await limited("connections_per_user")
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(plain_socket("room:lobby", token("h")))
        async with plain_socket("room:lobby", token("h")) as socket:
            expect("plain", (await close_of(socket))[0], 1013)
        async with websockets.connect(f"ws://{GATEWAY}/connection/websocket", proxy=None) as socket:
            await socket.send(json.dumps({"id": 1, "connect": {"token": token("h")}}))
            expect("centrifuge", await close_of(socket), (3504, "connection limit"))
        async with httpx.AsyncClient(timeout=LIMIT) as http:
            for path in ("/events", "/poll"):
                answer = await http.get(f"http://{GATEWAY}{path}?channel=topic:a&token={token('h')}")
                expect(path, answer.status_code, 429)
                assert int(answer.headers["retry-after"]) >= 1
    await counted("connections_per_user", before)

    say("time to authenticate, to be idle, and to send a head")
    before = await limited("connect_timeout")
    async with websockets.connect(f"ws://{GATEWAY}/connection/websocket", proxy=None) as socket:
        started = time.monotonic()
        expect("who never authenticates", await close_of(socket), (3502, "stale"))
        assert time.monotonic() - started < 10
    await counted("connect_timeout", before)
    before = await limited("idle_timeout")
    async with centrifuge_socket(token("i")) as socket:
        async def pongs():
            async for frames in socket:
                for line in frames.splitlines():
                    if json.loads(line) == {}:
                        await socket.send("{}")
        await ask(socket, {"id": 2, "unsubscribe": {"channel": "user:i"}})
        with contextlib.suppress(websockets.ConnectionClosed):
            await pongs()
        expect("idle", (socket.close_code, socket.close_reason), (4000, "idle"))
    await counted("idle_timeout", before)
    before = await limited("connect_timeout")
    host, port = GATEWAY.split(":")
    for beginning in (b"", b"GET /ws/topic:a HT", b"GET /ws/topic:a HTTP/1.1\r\nHost: x\r\n", b"POST /rpc/x HTTP/1.1\r\n"):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(beginning)
        async with asyncio.timeout(10):
            expect("nothing is said", await reader.read(), b"")
        writer.close()
    await counted("connect_timeout", before + 3)

    say("connections of the gateway")
    before = await limited("connections")
    peers = []
    refused = None
    for _ in range(60):
        try:
            peers.append(await asyncio.to_thread(Raw, f"/ws/topic:a?token={token(f'u{len(peers)}')}"))
            assert peers[-1].head.startswith("HTTP/1.1 101"), peers[-1].head
        except AssertionError:
            refused = peers.pop().head
            break
    assert refused, "never refused"
    assert refused.startswith("HTTP/1.1 503") and "Retry-After:" in refused, refused
    async with httpx.AsyncClient(timeout=LIMIT) as http:
        answer = await http.get(f"http://{GATEWAY}/poll?channel=topic:a&wait=0&token={token('z')}")
        expect("HTTP", (answer.status_code, answer.json()["error"]["code"]), (503, 503))
    await counted("connections", before + 1)
    for peer in peers:
        peer.close()

    async def served():
        try:
            async with httpx.AsyncClient(timeout=LIMIT) as http:
                return (await http.get(
                    f"http://{GATEWAY}/poll?channel=topic:a&wait=0&token={token('z')}")).status_code == 200
        except httpx.TransportError:
            return False

    await eventually("a place when others have gone", served)


run(scenario)
