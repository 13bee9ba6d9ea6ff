"""Server-Sent Events: several channels at once, and a resume from Last-Event-ID without loss or repetition."""

from scenario import *


async def data(events, count):
    """The next messages as (name, data, id)."""
    found = []
    while len(found) < count:
        event = await next_event(events)
        found.append((event.event, json.loads(event.data), event.id))
    return found


async def scenario():
    bus = await backend()
    stream = bus.jetstream()
    channels = ["room:lobby", "topic:news", "user:42"]
    bearer = token("42")

    async with event_source(channels, bearer) as events:
        say("the first event says who one is and where")
        first = await next_event(events)
        expect("first event", first.event, "connected")
        connected = json.loads(first.data)
        assert connected["client"], connected
        expect("channels", sorted(connected["channels"]), sorted(channels))
        for channel in channels:
            position = connected["channels"][channel]["position"]
            assert position["epoch"] and position["offset"] >= 0, position

        say("messages of all channels, with the event's name")
        await stream.publish("apus.channel.room.lobby", b'{"n": 1}')
        await stream.publish("apus.channel.topic.news", b'{"n": 2}', headers={"Apus-Event": "headline"})
        await stream.publish("apus.channel.user.42", b'{"n":\n3}')
        got = await data(events, 3)
        by_number = {message["n"]: (name, identifier) for name, message, identifier in got}
        expect("all three", sorted(by_number), [1, 2, 3])
        expect("names", [by_number[n][0] for n in (1, 2, 3)], ["message", "headline", "message"])
        position = got[-1][2]
        assert position, "events have no id"

    say("missed while away: delivered after a resume, once, whichever channel")
    for number in range(4, 24):
        subject = ["apus.channel.room.lobby", "apus.channel.topic.news"][number % 2]
        await stream.publish(subject, json.dumps({"n": number}).encode())
    async with event_source(channels, bearer, last_event_id=position) as events:
        connected = json.loads((await next_event(events, "connected")).data)
        expect("recovered", {c: v["recovered"] for c, v in connected["channels"].items()}, {c: True for c in channels})
        got = await data(events, 20)
        expect("missed", sorted(message["n"] for _, message, _ in got), list(range(4, 24)))
        for parity in (0, 1):
            numbers = [message["n"] for _, message, _ in got if message["n"] % 2 == parity]
            expect("in order per channel", numbers, sorted(numbers))
        position = got[-1][2]

    say("the gateway is killed in between: the position still holds; the query parameter works too")
    await control("kill", "gateway")
    await stream.publish("apus.channel.topic.news", b'{"n": 24}')
    await control("start", "gateway")
    async with event_source(channels, bearer, last_event_id=position) as events:
        connected = json.loads((await next_event(events, "connected")).data)
        expect("recovered", connected["channels"]["topic:news"]["recovered"], True)
        expect("missed", [m for _, m, _ in await data(events, 1)], [{"n": 24}])
    async with httpx.AsyncClient(timeout=LIMIT) as http:
        parameters = [("channel", c) for c in channels] + [("last_event_id", position), ("token", bearer)]
        async with httpx_sse.aconnect_sse(http, "GET", f"http://{GATEWAY}/events", params=parameters) as source:
            events = source.aiter_sse()
            await next_event(events, "connected")
            expect("missed", [m for _, m, _ in await data(events, 1)], [{"n": 24}])

    say("a position that is none, or of another life, is not passed off as recovered")
    for strange in ("rubbish", "999999999"):
        async with event_source(["topic:news"], bearer, last_event_id=strange) as events:
            connected = json.loads((await next_event(events, "connected")).data)
            expect(f"recovered from {strange}", connected["channels"]["topic:news"]["recovered"], False)

    say("refusals are HTTP statuses")
    async with httpx.AsyncClient(timeout=LIMIT) as http:
        for expected_status, channel, authorization in (
            (401, "room:lobby", None), (401, "room:lobby", "rubbish"), (403, "user:7", bearer), (400, "room:", bearer),
        ):
            headers = {"Authorization": f"Bearer {authorization}"} if authorization else {}
            answer = await http.get(f"http://{GATEWAY}/events", params={"channel": channel}, headers=headers)
            expect(f"status for {channel} with {authorization and 'a token'}", answer.status_code, expected_status)
        answer = await http.get(f"http://{GATEWAY}/events", headers={"Authorization": f"Bearer {bearer}"})
        expect("status without a channel", answer.status_code, 400)

    say("a gateway that leaves ends the stream in order, and its client goes on where it was")
    async with event_source(channels, bearer, last_event_id=position) as events:
        await next_event(events, "connected")
        ((_, message, position),) = await data(events, 1)
        expect("missed", message, {"n": 24})
        leaving = asyncio.create_task(control("terminate", "gateway"))
        async with asyncio.timeout(LIMIT):
            async for event in events:
                raise AssertionError(f"an event came with the end: {event}")
    expect("exit", await leaving, "exit status 0")
    await stream.publish("apus.channel.topic.news", b'{"n": 25}')
    await control("start", "gateway")
    async with event_source(channels, bearer, last_event_id=position) as events:
        connected = json.loads((await next_event(events, "connected")).data)
        expect("recovered", connected["channels"]["topic:news"]["recovered"], True)
        expect("missed", [m for _, m, _ in await data(events, 1)], [{"n": 25}])


run(scenario)
