"""The server API as `cent`, the client of Centrifugo's, uses it, on two gateways: what one is told holds on both."""

import base64

import cent

from scenario import *


class Api:
    """`api.publish(channel=…)` for `client.publish(cent.PublishRequest(channel=…))`."""

    def __init__(self, gateway):
        self.client = cent.AsyncClient(f"http://{gateway}/api", API_KEY)

    def __getattr__(self, method):
        request = getattr(cent, "".join(word.title() for word in method.split("_")) + "Request")
        return lambda **parameters: getattr(self.client, method)(request(**parameters))


async def refused(code, request):
    """Holds that a request is refused with this code of Centrifugo's, and with words."""
    try:
        answer = await request
    except cent.CentApiResponseError as error:
        expect("code", error.code, code)
        assert error.message, error
        return
    raise AssertionError(f"not refused: {answer}")


async def raw(method, content, key=API_KEY, header="X-API-Key"):
    async with httpx.AsyncClient(timeout=LIMIT) as http:
        answer = await http.post(
            f"http://{GATEWAY}/api/{method}", headers={header: key} if key else {},
            content=content if isinstance(content, (str, bytes)) else json.dumps(content))
    return answer.status_code, answer.json()


async def publishing(api, ann):
    say("publish: events, tags, base64, without history, and once for each key and channel")
    await api.publish(channel="room:a", data={"n": 1}, tags={"event": "said", "color": "red"})
    expect("at the client", await ann.inbox("room:a").next(), {"n": 1})
    stored = (await api.history(channel="room:a", limit=10)).publications
    expect("tags", stored[0].tags, {"event": "said", "color": "red"})
    await api.publish(channel="room:a", data=None, b64data=base64.b64encode(b'{"n": 2}').decode())
    expect("from base64", await ann.inbox("room:a").next(), {"n": 2})
    await refused(107, api.publish(channel="room:a", data=None, b64data=base64.b64encode(b"\x00\xff").decode()))
    before = await api.history(channel="room:a")
    result = await api.publish(channel="room:a", data={"n": 3}, skip_history=True)
    expect("offset of what is not kept", result.offset, 0)
    expect("seen all the same", await ann.inbox("room:a").next(), {"n": 3})
    expect("history", (await api.history(channel="room:a")).offset, before.offset)
    first = await api.broadcast(channels=["room:a", "room:b", "nowhere:x", "room:"], data={"n": 4}, idempotency_key="k")
    again = await api.broadcast(channels=["room:a", "room:b"], data={"n": 4}, idempotency_key="k")
    expect("codes", [r.error and r.error.code for r in first.responses], [None, None, 102, 107])
    expect(
        "the same again", [r.result.offset for r in again.responses], [r.result.offset for r in first.responses[:2]])
    expect("once", await ann.inbox("room:a").next(), {"n": 4})
    await api.publish(channel="room:a", data={"n": 5})
    expect("and then the next", await ann.inbox("room:a").next(), {"n": 5})


async def values():
    say("what is no good is said with code 107 and a reason, whatever it is")
    for method, parameters in (
        ("publish", []), ("publish", {}), ("publish", {"channel": "room:a"}), ("publish", {"channel": 7, "data": 1}),
        ("publish", {"channel": "room:a..b", "data": 1}), ("publish", {"channel": "room:a", "data": 1, "tags": []}),
        ("publish", {"channel": "room:a", "data": 1, "tags": {"a": 1}}),
        ("publish", {"channel": "room:a", "data": 1, "skip_history": "yes"}),
        ("publish", {"channel": "room:a", "data": 1, "event": "a\r\nb"}),
        ("broadcast", {"channels": "room:a", "data": 1}), ("broadcast", {"channels": [1], "data": 1}),
        ("broadcast", {"channels": [], "data": 1}), ("history", {"channel": "room:a", "limit": "ten"}),
        ("history", {"channel": "room:a", "since": 5}), ("history", {"channel": "room:a", "since": {"offset": -1}}),
        ("disconnect", {}), ("disconnect", {"user": ""}), ("disconnect", {"user": 42}),
        ("disconnect", {"user": "42", "disconnect": {"code": 1000}}),
        ("disconnect", {"user": "42", "disconnect": {"code": 4000, "reason": "x" * 124}}),
        ("disconnect", {"user": "42", "whitelist": "c"}), ("unsubscribe", {"user": "42", "channel": "a..b"}),
        ("subscribe", {"user": "42"}), ("refresh", {"user": "42", "expire_at": "soon"}), ("channels", {"pattern": "["}),
        ("batch", {}), ("batch", {"commands": {}}), ("token", {}), ("event", {"data": 1}),
    ):
        status, body = await raw(method, parameters)
        expect(f"status of {method} {parameters}", status, 200)
        expect(f"code of {method} {parameters}", body.get("error", {}).get("code"), 107)
        assert len(body["error"]["message"]) > len("bad request: "), body
    expect("no such method", (await raw("nonsense", {}))[1]["error"]["code"], 104)
    expect("no JSON", (await raw("publish", "{"))[0], 400)
    for key, header in ((None, ""), ("wrong", "X-API-Key"), ("apikey wrong", "Authorization"), (API_KEY, "Authorization")):
        expect(f"status with {header}", (await raw("info", {}, key, header))[0], 401)
    expect("status with the key", (await raw("info", {}, f"apikey {API_KEY}", "Authorization"))[0], 200)


async def looking(api, ann, bob):
    say("presence, channels and nodes are of all gateways")
    await eventually("both present", lambda: both_present(api))
    stats = await api.presence_stats(channel="room:a")
    expect("statistics", (stats.num_clients, stats.num_users), (2, 2))
    present = (await api.presence(channel="room:a")).presence
    expect("who", sorted(info.user for info in present.values()), ["42", "7"])
    await refused(108, api.presence(channel="topic:x"))
    await refused(108, api.presence_stats(channel="topic:x"))
    await refused(102, api.presence(channel="nowhere:x"))
    channels = (await api.channels()).channels
    expect("clients of the room", channels["room:a"].num_clients, 2)
    expect("of one's own channel", channels["user:7"].num_clients, 1)
    expect("by pattern", sorted((await api.channels(pattern="user:*")).channels), ["user:42", "user:7"])
    nodes = (await api.info()).nodes
    expect("nodes", [node.name for node in nodes], ["apus-gateway"] * 2)
    expect("clients, users", (sum(n.num_clients for n in nodes), sum(n.num_users for n in nodes)), (2, 2))
    expect("subscriptions", sum(n.num_subs for n in nodes), 4)


async def both_present(api):
    return len((await api.presence(channel="room:a")).presence) == 2


async def history(api, ann):
    say("history in pages, both ways, and removed")
    removed = await api.history(channel="room:h")
    expect("nothing", removed.publications, [])
    for n in range(10):
        await api.publish(channel="room:h", data=n)
    page = await api.history(channel="room:h", limit=4)
    expect("the oldest", [p.data for p in page.publications], [0, 1, 2, 3])
    since = cent.StreamPosition(offset=page.publications[-1].offset, epoch=page.epoch)
    expect("the next", [p.data for p in (await api.history(channel="room:h", limit=3, since=since)).publications], [4, 5, 6])
    newest = await api.history(channel="room:h", limit=2, reverse=True)
    expect("the newest", [p.data for p in newest.publications], [9, 8])
    before = await api.history(channel="room:h", limit=10, reverse=True, since=since)
    expect("before a position", [p.data for p in before.publications], [2, 1, 0])
    await refused(112, api.history(channel="room:h", limit=1, since=cent.StreamPosition(offset=1, epoch="other")))
    await refused(108, api.history(channel="default-news", limit=1))
    await ann.subscribe("room:h")
    await api.history_remove(channel="room:h")
    await eventually("nothing is left", lambda: empty(api))
    expect("nor for clients", (await ann.client.get_subscription("room:h").history(limit=10)).publications, [])
    await api.publish(channel="room:h", data={"after": True})
    expect("and it goes on", await ann.inbox("room:h").next(), {"after": True})
    await api.history_remove(channel="room:h")
    await api.history_remove(channel="room:h")
    # Whoever stood before what was removed is told so; whoever had it all is not.
    late = await RawClient("9", GATEWAY2).connect()
    old = await late.ask("subscribe", {"channel": "room:h", "recover": True, "epoch": page.epoch, "offset": since.offset})
    assert not old["subscribe"].get("recovered"), old
    await ann.client.get_subscription("room:h").unsubscribe()


async def empty(api):
    return not (await api.history(channel="room:h", limit=10)).publications


async def batch(api, ann):
    say("a batch is as good as its parts")
    parts = [
        cent.PublishRequest(channel="room:a", data={"batch": 1}), cent.PresenceStatsRequest(channel="room:a"),
        cent.BroadcastRequest(channels=["room:a"], data={"batch": 2}), cent.InfoRequest(),
    ]
    replies = (await api.batch(requests=parts)).replies
    assert replies[0].offset and replies[1].num_clients == 2 and len(replies[3].nodes) == 2, replies
    expect("in order", [(await ann.inbox("room:a").next())["batch"] for _ in range(2)], [1, 2])
    await api.batch(requests=[cent.PublishRequest(channel=f"room:p{n}", data=n) for n in range(100)], parallel=True)
    status, body = await raw("batch", {"commands": [
        {"publish": {"channel": "nowhere:x", "data": 1}}, {"publish": {"channel": "room:b", "data": 1}}, {"fly": {}},
        {}, {"batch": {"commands": []}}, 7, {"info": {}, "publish": {}},
    ]})
    codes = [reply.get("error", {}).get("code") for reply in body["replies"]]
    expect("codes", codes, [102, None, 104, 107, 107, 107, 107])


async def orders(api, ann, bob):
    say("subscribe and unsubscribe a user on whatever gateway the user is")
    await api.subscribe(user="7", channel="topic:news", data={"why": "because"})
    await eventually("bob is on the channel", lambda: [p for p in bob.pushes if "subscribe" in p])
    push = [p for p in bob.pushes if "subscribe" in p][-1]
    expect("its data", (push["channel"], push["subscribe"]["data"]), ("topic:news", {"why": "because"}))
    await api.publish(channel="topic:news", data={"news": 1})
    await eventually("news", lambda: [p for p in bob.pushes if p.get("pub", {}).get("data") == {"news": 1}])
    await refused(102, api.subscribe(user="7", channel="nowhere:x"))
    await api.unsubscribe(user="7", channel="topic:news")
    # The answer comes when it is done: the push is on its way before it.
    await eventually("bob was told", lambda: [p for p in bob.pushes if "unsubscribe" in p])
    push = [p for p in bob.pushes if "unsubscribe" in p][-1]
    expect("how", (push["channel"], push["unsubscribe"]["code"]), ("topic:news", 2000))

    say("refresh: another end, and at once")
    await api.refresh(user="7", expire_at=int(time.time()) + 600)
    await eventually("bob was told", lambda: [p for p in bob.pushes if "refresh" in p])
    push = [p for p in bob.pushes if "refresh" in p][-1]
    assert push["refresh"]["expires"] and 590 < push["refresh"]["ttl"] <= 600, push
    await api.refresh(user="7", expired=True)
    await eventually("bob's connection has expired", lambda: bob.close)
    expect("how", bob.close[:2], (3005, "connection expired"))

    say("disconnect: one connection, all but some, all; on every protocol, with its own code")
    first, second = await RawClient("7", GATEWAY2).connect(), await RawClient("7").connect()
    async with plain_socket("topic:news", token("7")) as plain:
        await api.disconnect(user="7", client=first.client)
        await eventually("the first is gone", lambda: first.close)
        expect("how", first.close[:2], (3503, "force disconnect"))
        await api.publish(channel="topic:news", data={"still": "here"})
        expect("the others are here", await receive(plain), {"still": "here"})
        await api.disconnect(user="7", whitelist=[second.client])
        with contextlib.suppress(websockets.ConnectionClosed):
            await receive(plain)
        expect("how", plain.close_code, 4003)
    assert second.close is None
    third = await RawClient("7", GATEWAY2).connect()
    session = third.reply["session"]
    await api.disconnect(user="7", session=session, disconnect=cent.Disconnect(code=4321, reason="go away"))
    await eventually("the third is gone", lambda: third.close)
    expect("how", third.close[:2], (4321, "go away"))
    assert second.close is None
    await api.disconnect(user="7")
    await eventually("the second is gone", lambda: second.close)
    expect("ann is not", ann.disconnects, [])


async def streams(api):
    say("an event stream loses a channel and goes on, and ends with the last")
    async with event_source(["topic:news", "topic:more"], token("5")) as events:
        expect("first", (await next_event(events)).event, "connected")
        await api.unsubscribe(user="5", channel="topic:news")
        told = json.loads((await next_event(events, "unsubscribed")).data)
        expect("told", (told["channel"], told["code"]), ("topic:news", 2000))
        await api.publish(channel="topic:news", data=1)
        await api.publish(channel="topic:more", data=2)
        expect("the other goes on", (await next_event(events, "message")).data, "2")
        await api.disconnect(user="5")
        try:
            await next_event(events)
            raise AssertionError("the stream goes on")
        except ConnectionError:
            pass
    async with plain_socket("topic:news", token("5")) as plain:
        await api.unsubscribe(user="5", channel="topic:news")
        with contextlib.suppress(websockets.ConnectionClosed):
            await receive(plain)
        expect("plain", plain.close_code, 4003)


async def scenario():
    api = Api(GATEWAY)
    ann = await Person("42").connect()
    bob = await RawClient("7", GATEWAY2).connect()
    await ann.subscribe("room:a")
    await bob.subscribe("room:a")
    await looking(api, ann, bob)
    await publishing(api, ann)
    await values()
    await history(api, ann)
    await batch(api, ann)
    await orders(api, ann, bob)
    await streams(api)


run(scenario)
