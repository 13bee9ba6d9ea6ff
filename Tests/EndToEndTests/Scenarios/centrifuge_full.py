"""What the Centrifuge client for Python can ask, beyond the first steps: positions, recovery, pages of history, presence
statistics, replies to commands, server-side subscriptions, refreshed tokens."""

from centrifuge import StreamPosition
from scenario import *


async def publish_range(bus, numbers):
    for number in numbers:
        await bus.jetstream().publish("apus.channel.room.full", json.dumps({"number": number}).encode())


def numbers(publications):
    return [publication.data["number"] for publication in publications]


async def scenario():
    bus = await backend()
    ann = await Person("42").connect()
    bob = await Person("42").connect()  # the same user, another connection
    room = await ann.subscribe("room:full", recoverable=True, positioned=True, join_leave=True)
    await bob.subscribe("room:full", recoverable=True)
    await publish_range(bus, range(30))
    await ann.inbox("room:full").next(lambda message: message["number"] == 29)

    say("history: the position only, the oldest, the newest, and pages in both directions")
    head = await room.history()
    expect("no limit", head.publications, [])
    expect("oldest", numbers((await room.history(limit=3)).publications), [0, 1, 2])
    expect("newest", numbers((await room.history(limit=3, reverse=True)).publications), [29, 28, 27])
    everything, since = [], None
    while True:
        page = await room.history(limit=7, since=since) if since else await room.history(limit=7)
        if not page.publications:
            break
        everything += numbers(page.publications)
        since = StreamPosition(offset=page.publications[-1].offset, epoch=page.epoch)
    expect("all pages", everything, list(range(30)))
    middle = (await room.history(limit=30)).publications[10].offset
    back = await room.history(limit=3, since=StreamPosition(offset=middle, epoch=head.epoch), reverse=True)
    expect("backwards from the middle", numbers(back.publications), [9, 8, 7])
    try:
        await room.history(limit=3, since=StreamPosition(offset=1, epoch="another-life"))
        raise AssertionError("a position of another epoch was answered")
    except centrifuge.ReplyError as error:
        expect("code for a position of another epoch", error.code, 112)

    say("presence counts connections and users")
    await eventually("both are there", lambda: presence_of(room, 2))
    statistics = await room.presence_stats()
    expect("statistics", (statistics.num_clients, statistics.num_users), (2, 1))
    await bob.client.disconnect()
    await eventually("one is left", lambda: presence_of(room, 1))

    say("a user's own channel is there without asking")
    await publish(bus, "apus.channel.user.42", {"text": "for you"})
    expect("own channel", await ann.inbox("user:42").next(), {"text": "for you"})

    say("calls get their results and errors, at once and many together")
    answers = await asyncio.gather(*(ann.client.rpc("notifications.list", {"limit": n}) for n in range(1, 21)))
    expect("results", [answer.data["unread_count"] for answer in answers], [0] * 20)
    for method, temporary in (("nobody.answers", True), ("no such method", False), ("", False)):
        try:
            await ann.client.rpc(method, {})
            raise AssertionError(f"{method!r} was answered")
        except centrifuge.ReplyError as error:
            expect(f"{method!r} is temporary", error.temporary, temporary)
    await ann.client.rpc("notifications.list", {})

    say("the server disconnects a user: it comes back by itself and misses nothing")
    before = ann.connections
    await control("terminate", "gateway")
    await publish_range(bus, range(30, 60))
    await control("start", "gateway")
    await eventually("back", lambda: ann.connections == before + 1)
    await ann.inbox("room:full").next(lambda message: message["number"] == 59)
    expect("everything once, in order", [m["number"] for m in ann.inbox("room:full").messages], list(range(60)))
    last = ann.subscribed["room:full"][-1]
    expect("recovered", (last.was_recovering, last.recovered), (True, True))

    say("a token that expires is refreshed, and the connection stays")
    asked = []

    async def fresh_token():
        asked.append(time.monotonic())
        return token("9", ttl=4)

    lasting = Person("9", bearer=token("9", ttl=4))
    lasting.client._get_token = fresh_token
    await lasting.connect()
    await eventually("two refreshes", lambda: len(asked) >= 2)
    expect("connections", (lasting.connections, lasting.disconnects), (1, []))

    say("a subscription to a channel twice, and publishing where one is not")
    other = await Person("7").connect()
    try:
        await other.client.publish("room:full", {"text": "not subscribed"})
        raise AssertionError("a client published in a room that it is not in")
    except centrifuge.ReplyError as error:
        expect("code", error.code, 103)


async def presence_of(room, count):
    return len((await room.presence()).clients) == count


run(scenario)
