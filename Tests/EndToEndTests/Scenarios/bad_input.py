"""What is malformed gets a clear error where its sender or the operator sees it, is counted, is kept, and stops nothing."""

import uuid

from scenario import *


async def problems(service):
    """The sum of all counters that tell of something wrong."""
    word = "(invalid|malformed|error|failed|failure|dead|reject|refus)"
    return await metric(service, rf"^\w*{word}\w*_total|^\w*_total{{.*{word}")


class Counted:
    """Expects that a service counts at least one problem more within the block."""

    def __init__(self, service):
        self.service = service

    async def __aenter__(self):
        self.before = await problems(self.service)

    async def __aexit__(self, kind, error, trace):
        if error is None:
            async def more():
                return await problems(self.service) > self.before
            await eventually(f"{self.service} counts the problem", more)


async def letter_for(bus, payload, subject):
    """The dead letter with this payload; it must say why and where it came from."""
    async def look():
        letters = [l for l in await dead_letters(bus) if l[1].get("Apus-Subject") == subject and l[2] == payload]
        return letters[0] if letters else None

    found, headers, _ = await eventually(f"a dead letter for {payload[:60]!r} from {subject}", look)
    assert headers["Apus-Reason"], headers
    assert int(headers["Apus-Attempts"]) >= 1, headers
    return found, headers


async def raw_frames(*frames):
    """Sends frames to the Centrifuge route and returns (what was answered, close code)."""
    answers = []
    try:
        async with websockets.connect(f"ws://{GATEWAY}/connection/websocket", proxy=None) as socket:
            for frame in frames:
                await socket.send(frame)
            async with asyncio.timeout(LIMIT):
                while True:
                    answers.append(await socket.recv())
    except websockets.ConnectionClosed as closed:
        return answers, closed.rcvd.code if closed.rcvd else None


async def scenario():
    bus = await backend()
    ann = await Person("42").connect()
    stream = bus.jetstream()

    say("events that are none")
    for kind, payload in (
        ("order.status_changed", b"this is not JSON"),
        ("order.status_changed", b'{"order_id": 1, "status": "shipped"}'),
        ("order.status_changed", b"[1, 2]"),
        ("order.status_changed", b"\xff\xfe\x00"),
        ("inventory.changed", b'{"product_id": "P", "quantity": "many", "threshold": 5, "version": 1}'),
    ):
        async with Counted("notifier"):
            await publish_event(bus, kind, payload)
            found, _ = await letter_for(bus, payload, f"apus.event.{kind}")
        expect("place of the letter", found, f"apus.dead.event.{kind}")
    await publish_event(bus, "order.status_changed", {"order_id": 5, "user_id": "42", "status": "shipped"})
    await ann.inbox("user:42").next(lambda message: message.get("order_id") == 5)

    say("tasks that are none, that nobody can do, or with wrong arguments")
    for name, payload in (
        ("dataset.summarize", b"this is not JSON"),
        ("dataset.summarize", b'{"name": "dataset.summarize"}'),
        ("no.such.task", json.dumps({"id": str(uuid.uuid4()), "name": "no.such.task", "args": {}, "user": "42"}).encode()),
    ):
        async with Counted("worker"):
            await stream.publish(f"apus.task.default.{name}", payload)
            found, _ = await letter_for(bus, payload, f"apus.task.default.{name}")
        expect("place of the letter", found, f"apus.dead.task.{name}")
    for parameters in ({}, {"name": ""}, {"name": "a..b"}, {"name": "dataset.summarize", "args": []}):
        try:
            answer = (await ann.client.rpc("tasks.submit", parameters)).data
            raise AssertionError(f"{parameters} was accepted: {answer}")
        except centrifuge.ReplyError as error:
            assert error.message, error
    task = (await ann.client.rpc("tasks.submit", {"name": "no.such.task", "args": {}})).data["task_id"]
    failed = await ann.inbox("user:42").next(lambda m: m.get("task_id") == task and m["status"] == "failed")
    assert "no.such.task" in failed["message"], failed
    task = (await ann.client.rpc("tasks.submit", {"name": "dataset.summarize", "args": {"path": 7}})).data["task_id"]
    failed = await ann.inbox("user:42").next(lambda m: m.get("task_id") == task and m["status"] == "failed")
    assert "path" in failed["message"], failed
    task = (await ann.client.rpc("tasks.submit", {"name": "apus.noop", "args": {}})).data["task_id"]
    await ann.inbox("user:42").next(lambda m: m.get("task_id") == task and m["status"] == "completed")

    say("tokens")
    async with Counted("gateway"):
        nobody = Person("42", bearer="rubbish")
        await nobody.client.connect()
        await eventually("a disconnect", lambda: nobody.disconnects)

    say("frames")
    connect = json.dumps({"id": 1, "connect": {"token": token("42")}})
    for frames in (["garbage"], ["{"], ["[1]"], ['{"id": 1}'], [connect, "garbage"], ['{"id":1,"subscribe":{"channel":"room:x"}}']):
        async with Counted("gateway"):
            answers, code = await raw_frames(*frames)
        assert code is not None and 3500 <= code < 4000, f"{frames}: closed with {code} after {answers}"
    answers, code = await raw_frames(json.dumps({"id": 1, "connect": {"token": "x" * 100_000}}))
    assert code in (1009, 3508, 3500, 3501), code
    answers, code = await raw_frames("[" * 20_000)
    assert code is not None, answers

    say("a command that cannot be done gets an error and the connection goes on")
    async with websockets.connect(f"ws://{GATEWAY}/connection/websocket", proxy=None) as socket:
        await socket.send(connect)
        await socket.recv()
        await socket.send('{"id": 2, "subscribe": {"channel": "room:a..b"}}')
        answer = json.loads(await receive_reply(socket, 2))
        assert answer["error"]["code"] and answer["error"]["message"], answer
        await socket.send('{"id": 3, "subscribe": {"channel": "room:fine"}}')
        assert "subscribe" in json.loads(await receive_reply(socket, 3))

    say("messages on a channel that are not JSON reach nobody and break nobody")
    await ann.subscribe("room:lobby")
    async with Counted("gateway"):
        await stream.publish("apus.channel.room.lobby", b"this is not JSON")
    await stream.publish("apus.channel.room.lobby", b'{"fine": true}')
    expect("the next message", await ann.inbox("room:lobby").next(), {"fine": True})

    say("HTTP that is none")
    host, port = GATEWAY.rsplit(":", 1)
    for request in (b"rubbish\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
                    b"GET /ws/room:x HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
                    b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"\x00" * 1000):
        reader, writer = await asyncio.open_connection(host, int(port))
        with contextlib.suppress(ConnectionError):
            writer.write(request)
            await writer.drain()
            async with asyncio.timeout(LIMIT):
                answer = await reader.read(4096)
            assert not answer or answer.startswith(b"HTTP/1.1 4"), f"{request[:40]!r}: {answer[:100]!r}"
        writer.close()

    say("and through all of this nobody lost a connection or a service")
    expect("connections of user 42", ann.connections, 1)
    async with httpx.AsyncClient() as http:
        for service in ("gateway", "notifier", "worker", "livesync"):
            expect(service, (await http.get(f"http://{admin_address(service)}/ready")).status_code, 200)


async def receive_reply(socket, identifier):
    """The line of a reply; several may come in one frame."""
    async with asyncio.timeout(LIMIT):
        while True:
            for line in (await socket.recv()).splitlines():
                if json.loads(line).get("id") == identifier:
                    return line


run(scenario)
