"""Long polling and plain polling: nothing is lost between two polls, whichever gateway answers, and what is gone is told."""

from scenario import *


async def poll(channels, after=None, wait=None, bearer=None, body=False):
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    async with httpx.AsyncClient(timeout=LIMIT + 60) as http:
        if body:
            question = {"channels": channels, "after": after, "wait": wait}
            return await http.post(f"http://{GATEWAY}/poll", json=question, headers=headers)
        parameters = [("channel", channel) for channel in channels]
        parameters += [("after", after)] if after is not None else []
        parameters += [("wait", str(wait))] if wait is not None else []
        return await http.get(f"http://{GATEWAY}/poll", params=parameters, headers=headers)


async def answer(*arguments, **options):
    response = await poll(*arguments, **options)
    expect(f"status of a poll ({response.text})", response.status_code, 200)
    found = response.json()
    expect("members", sorted(found.keys() - {"lost"}), ["messages", "position", "recovered"])
    expect("what is lost is named", "lost" in found, not found["recovered"])
    return found


def numbers(found):
    return [message["data"]["n"] for message in found["messages"]]


async def scenario():
    bus = await backend()
    stream = bus.jetstream()
    channels = ["room:lobby", "topic:news"]
    bearer = token("42")

    say("a first poll says where one is, at once")
    first = await answer(channels, wait=0, bearer=bearer)
    expect("messages", first["messages"], [])
    expect("recovered", first["recovered"], True)
    assert first["position"], first

    say("what came since is there at once, in order, with names and offsets")
    for number in range(6):
        await stream.publish(
            f"apus.channel.{channels[number % 2].replace(':', '.')}", json.dumps({"n": number}).encode(),
            headers={"Apus-Event": "headline"} if number % 2 else None)
    for options in ({"wait": 0}, {"wait": 30}, {"wait": 0, "body": True}):
        found = await answer(channels, after=first["position"], bearer=bearer, **options)
        expect("all", sorted(numbers(found)), list(range(6)))
        for parity, (channel, event) in enumerate((("room:lobby", "message"), ("topic:news", "headline"))):
            mine = [message for message in found["messages"] if message["channel"] == channel]
            expect("in order", [message["data"]["n"] for message in mine], [parity, parity + 2, parity + 4])
            expect("events", {message["event"] for message in mine}, {event})
            assert all(a["offset"] < b["offset"] for a, b in zip(mine, mine[1:])), mine
        expect("recovered", found["recovered"], True)
    position = found["position"]
    expect("nothing twice", (await answer(channels, after=position, wait=0, bearer=bearer))["messages"], [])

    say("a long poll is answered when something comes, or when its time is up")
    started = time.monotonic()
    waiting = asyncio.create_task(answer(channels, after=position, wait=30, bearer=bearer))
    fresh = asyncio.create_task(answer(channels, wait=30, bearer=bearer))
    await eventually("both wait", lambda: metric_is(r'apus_gateway_connections\{protocol="poll"', 2))
    await stream.publish("apus.channel.topic.news", b'{"n": 6}')
    expect("the message", numbers(await waiting), [6])
    expect("also without a position", numbers(await fresh), [6])
    assert time.monotonic() - started < 15
    position = waiting.result()["position"]
    started = time.monotonic()
    empty = await answer(channels, after=position, wait=1, bearer=bearer)
    expect("nothing came", (empty["messages"], empty["recovered"]), ([], True))
    assert 0.9 < time.monotonic() - started < 10

    say("a question in a body waits as well, and one that is too large is refused")
    waiting = asyncio.create_task(answer(channels, after=position, wait=30, bearer=bearer, body=True))
    await eventually("it waits", lambda: metric_is(r'apus_gateway_connections\{protocol="poll"', 1))
    await stream.publish("apus.channel.room.lobby", b'{"n": "body"}')
    expect("the message", numbers(await waiting), ["body"])
    position = waiting.result()["position"]
    expect("nothing came", (await answer(channels, after=position, wait=1, bearer=bearer, body=True))["messages"], [])
    refused = await poll(["room:lobby"], after="x" * 2_000_000, wait=5, bearer=bearer, body=True)
    expect("too large", refused.status_code, 413)

    say("clients that go at once, in the middle of a request, or with a body where none belongs")
    process_before = await metric("gateway", "apus_gateway_connections_opened_total")
    host, port = GATEWAY.split(":")
    for request in (
        "GET /poll?channel=topic:news&wait=60", "POST /poll", "GET /events?channel=topic:news",
        "GET /poll?channel=topic:news&wait=0", "GET /events?channel=user:7",
    ):
        for body in ("", "Content-Length: 5\r\n", "Content-Length: 5\r\n\r\n12345"):
            for _ in range(20):
                _, writer = await asyncio.open_connection(host, int(port))
                end = "" if body.endswith("12345") else "\r\n"
                writer.write(
                    f"{request} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bearer}\r\n{body}{end}".encode())
                await writer.drain()
                writer.transport.abort()
    assert await metric("gateway", "apus_gateway_connections_opened_total") >= process_before, "the gateway restarted"
    for protocol in ("poll", "sse"):
        await eventually(
            f"no {protocol} is left", lambda: metric_is(rf'apus_gateway_connections\{{protocol="{protocol}"', 0))

    say("a client that goes leaves nothing behind")
    host, port = GATEWAY.split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET /poll?channel=topic:news&wait=60&token={bearer} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await eventually("it waits", lambda: metric_is(r'apus_gateway_connections\{protocol="poll"', 1))
    writer.close()
    await eventually("it has gone", lambda: metric_is(r'apus_gateway_connections\{protocol="poll"', 0))

    say("messages that come all the while: every one once, though the gateway is killed in between")

    got = []

    async def publish_all():
        for number in range(7, 307):
            # Never more ahead than the history holds: this is about what may not be lost.
            await eventually("the reader keeps up", lambda: number - 7 - len(got) < 90)
            await stream.publish("apus.channel.topic.news", json.dumps({"n": number}).encode())

    publishing = asyncio.create_task(publish_all())
    killed = False
    while len(got) < 300:
        try:
            found = await answer(channels, after=position, wait=5, bearer=bearer)
        except httpx.TransportError:
            await asyncio.sleep(0.05)
            continue
        expect(f"recovered after {len(got)}", found["recovered"], True)
        got += numbers(found)
        position = found["position"]
        if len(got) > 60 and not killed:
            killed = True
            await control("kill", "gateway")
            await control("start", "gateway")
    await publishing
    expect("every message", got, list(range(7, 307)))

    say("more than the history holds: that is said, with a position to go on from")
    for number in range(160):
        await stream.publish("apus.channel.topic.news", json.dumps({"n": number}).encode())
    await stream.publish("apus.channel.topic.quiet", b'{"n": 1}')
    both = await answer(["topic:news", "topic:quiet"], wait=0, bearer=bearer)
    await stream.publish("apus.channel.topic.quiet", b'{"n": 2}')
    behind = ",".join([position] + [p for p in both["position"].split(",") if "quiet" in p])
    both = await answer(["topic:news", "topic:quiet"], after=behind, wait=30, bearer=bearer)
    expect("only one of two channels has lost any", (numbers(both), both["recovered"], both["lost"]),
           ([2], False, ["topic:news"]))
    found = await answer(["topic:news"], after=position, wait=30, bearer=bearer)
    expect("recovered", (found["recovered"], found["lost"]), (False, ["topic:news"]))
    await stream.publish("apus.channel.topic.news", b'{"n": 1000}')
    found = await answer(["topic:news"], after=found["position"], wait=30, bearer=bearer)
    expect("going on", (numbers(found), found["recovered"]), ([1000], True))
    for strange in ("rubbish", "topic%3Anews~another-life~3"):
        found = await answer(["topic:news"], after=strange, wait=30, bearer=bearer)
        expect(f"recovered from {strange}", (found["messages"], found["recovered"], found["lost"]),
               ([], False, ["topic:news"]))
        assert found["position"], found

    say("a channel without a history gives what comes during the wait")
    waiting = asyncio.create_task(answer(["plain"], wait=30, bearer=bearer))
    await eventually("it waits", lambda: metric_is(r'apus_gateway_connections\{protocol="poll"', 1))
    await publish(bus, "apus.channel.default.plain", {"n": 1})
    expect("what came", [(m["data"], m["offset"]) for m in (await waiting)["messages"]], [({"n": 1}, None)])

    say("refusals")
    for status, options in (
        (401, {"channels": ["room:lobby"]}), (401, {"channels": ["room:lobby"], "bearer": "rubbish"}),
        (401, {"channels": ["room:lobby"], "bearer": token("42", ttl=-60)}),
        (403, {"channels": ["user:7"], "bearer": bearer}), (400, {"channels": [], "bearer": bearer}),
        (400, {"channels": ["room:"], "bearer": bearer}), (400, {"channels": ["nothing:x"], "bearer": bearer}),
        (400, {"channels": ["room:a", "room:a"], "bearer": bearer}),
        (400, {"channels": [f"room:{n}" for n in range(200)], "bearer": bearer}),
        (400, {"channels": ["room:lobby"], "wait": "soon", "bearer": bearer}),
        (400, {"channels": ["room:lobby"], "wait": -1, "bearer": bearer}),
    ):
        for body in (False, True):
            refused = await poll(body=body, **options)
            expect(f"status of {options} ({refused.text})", refused.status_code, status)
            expect("code", refused.json()["error"]["code"], status)
            assert refused.json()["error"]["message"], refused.text

    say("a gateway that leaves answers those who wait")
    waiting = asyncio.create_task(answer(["topic:news"], wait=60, bearer=bearer))
    await eventually("it waits", lambda: metric_is(r'apus_gateway_connections\{protocol="poll"', 1))
    expect("exit", await control("terminate", "gateway"), "exit status 0")
    found = await waiting
    expect("nothing lost", (found["messages"], found["recovered"]), ([], True))
    assert found["position"], found


async def metric_is(pattern, value):
    return await metric("gateway", pattern) == value


run(scenario)
