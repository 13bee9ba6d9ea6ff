"""Tokens and hooks: what lets a client in, for how long, and what happens when nobody can say."""

from scenario import *


class Door:
    """A service that decides about `door:` channels, in twenty lines of nats-py."""

    def __init__(self):
        self.asked, self.left, self.answers = [], [], {}

    async def open(self, bus):
        self.bus = bus
        for hook in ("subscribe", "publish"):
            await bus.subscribe(f"apus.hook.door.{hook}", cb=self.answer)
        await bus.subscribe("apus.hook.door.leave", cb=self.leave)
        # Takes questions and never answers one.
        await bus.subscribe("apus.hook.dead.subscribe", cb=self.ignore)
        await bus.subscribe("apus.hook.dead.publish", cb=self.ignore)
        await bus.flush()
        return self

    async def answer(self, message):
        question = json.loads(message.data)
        hook = message.subject.rsplit(".", 1)[1]
        self.asked.append((hook, question, message.headers or {}))
        answer = self.answers.get((hook, question["channel"]), {"result": {}})
        if callable(answer):
            answer = answer(question)
        if answer is not None:
            await message.respond(answer if isinstance(answer, bytes) else json.dumps(answer).encode())

    async def leave(self, message):
        self.left.append(json.loads(message.data))

    async def ignore(self, message):
        pass

    def questions(self, hook, channel):
        return [question for kind, question, _ in self.asked if (kind, question["channel"]) == (hook, channel)]


async def subscribing(door):
    say("a hook is told who asks, with what, in which trace; its data reaches the client")
    door.answers["subscribe", "door:data"] = lambda question: {"result": {"data": {"hello": question["user"]}}}
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    ann = RawClient("42", roles=["staff"])
    ann.socket = await websockets.connect(
        f"ws://{GATEWAY}/connection/websocket", proxy=None, additional_headers={"traceparent": trace, "tracestate": "a=b"})
    ann.reading = asyncio.create_task(ann.read())
    ann.client = (await ann.ask("connect", {"token": token("42", "staff")}))["connect"]["client"]
    reply = await ann.ask("subscribe", {"channel": "door:data", "data": {"key": 7}})
    expect("data", reply["subscribe"]["data"], {"hello": "42"})
    _, question, headers = door.asked[-1]
    expect("question", question, {"channel": "door:data", "user": "42", "client": ann.client, "data": {"key": 7}})
    expect("who", (headers["Apus-User"], headers["Apus-Roles"], headers["Apus-Client"]), ("42", "staff", ann.client))
    expect("trace", (headers["traceparent"], headers["tracestate"]), (trace, "a=b"))

    say("a browser sends its trace in the connect command")
    browser = RawClient("7")
    browser.socket = await websockets.connect(f"ws://{GATEWAY}/connection/websocket", proxy=None)
    browser.reading = asyncio.create_task(browser.read())
    await browser.ask("connect", {"token": token("7"), "headers": {"Traceparent": trace}})
    await browser.ask("subscribe", {"channel": "door:data"})
    expect("trace", door.asked[-1][2]["traceparent"], trace)

    say("a refusal is the service's, and this client's alone")
    door.answers["subscribe", "door:no"] = {"error": {"code": 403, "message": "not you"}}
    reply = await ann.ask("subscribe", {"channel": "door:no"})
    expect("error", (reply["error"]["code"], reply["error"]["message"]), (403, "not you"))
    for name, nonsense in {"text": b"yes", "nothing": b"", "no result": {}, "a flag": {"result": False},
                           "a bad time": {"result": {"expires_in": "soon"}}}.items():
        door.answers["subscribe", "door:odd"] = nonsense
        reply = await ann.ask("subscribe", {"channel": "door:odd"})
        assert reply["error"]["temporary"], f"{name}: {reply}"

    say("a service that is told nothing of the end would count for ever")
    await ann.ask("unsubscribe", {"channel": "door:data"})
    told = await eventually(
        "told of the unsubscribe",
        lambda: [n for n in door.left if (n["channel"], n["client"]) == ("door:data", ann.client)])
    expect("notice", told[-1], {"channel": "door:data", "user": "42", "client": ann.client, "reason": "unsubscribe"})
    browser.cut()
    await eventually("told of the cut", lambda: [n for n in door.left if n["reason"] == "disconnect"])
    return ann


async def silence(ann):
    say("a hook that never answers is an error to one client in time, and delays nobody")
    began = time.monotonic()
    others = [await RawClient(str(n)).connect() for n in range(20)]
    stuck = [asyncio.create_task(other.ask("subscribe", {"channel": f"dead:{n}"})) for n, other in enumerate(others)]
    stuck.append(asyncio.create_task(ann.ask("publish", {"channel": "dead:x", "data": 1})))
    await asyncio.sleep(0)
    for other in others:
        quick = time.monotonic()
        await other.subscribe("room:quick")
        await other.ask("publish", {"channel": "room:quick", "data": 1})
        assert time.monotonic() - quick < 1, f"a subscription took {time.monotonic() - quick} s"
    assert not any(task.done() for task in stuck[:20]), "a silent hook has answered"
    for task in stuck:
        reply = await task
        assert reply["error"]["temporary"] and reply["error"]["message"], reply
    assert 1.5 < time.monotonic() - began < 6
    reply = await ann.ask("rpc", {"method": "nobody.answers", "data": {}})
    assert reply["error"]["temporary"], reply


async def publishing(door, ann):
    say("a publish hook sees the event, may replace, refuse, or keep the message for itself")
    bob = await RawClient("7", GATEWAY2).connect()
    await bob.subscribe("door:p")
    await ann.subscribe("door:p")

    async def published(data):
        reply = await ann.ask("publish", {"channel": "door:p", "data": data})
        assert reply.get("publish") == {}, reply

    def seen():
        return [(p["pub"]["data"], p["pub"].get("tags"), p["pub"].get("info", {}).get("user"))
                for p in bob.pushes if p.get("channel") == "door:p" and "pub" in p]

    door.answers["publish", "door:p"] = lambda question: {"result": {"data": {"said": question["data"]}, "event": "said"}}
    await published("hi")
    await eventually("replaced", seen)
    expect("what came", seen(), [({"said": "hi"}, {"event": "said"}, "42")])
    expect("question", door.questions("publish", "door:p")[-1]["event"], "message")
    door.answers["publish", "door:p"] = {"result": {"publish": False, "reply": {"id": 1}}}
    await published("kept")
    door.answers["publish", "door:p"] = {"error": {"code": 429, "message": "too much"}}
    reply = await ann.ask("publish", {"channel": "door:p", "data": 1})
    expect("refused", (reply["error"]["code"], reply["error"]["temporary"]), (429, True))
    door.answers["publish", "door:p"] = {"result": {}}
    await published("last")
    await eventually("the last", lambda: seen()[-1][0] == "last")
    expect("nothing else", len(seen()), 2)


async def renewing(door):
    say("a time that a hook gave is renewed, and ends when it no longer is")
    for channel in ("door:brief", "door:away"):
        door.answers["subscribe", channel] = {"result": {"expires_in": 2}}
    ann = await Person("42").connect()
    await ann.subscribe("door:brief")
    away = await RawClient("7").connect()
    await away.subscribe("door:away")

    def renewals(channel):
        return [question for question in door.questions("subscribe", channel) if question.get("renewal")]

    await eventually("renewed twice", lambda: len(renewals("door:brief")) >= 2)
    expect("still there", ann.unsubscribed, {})
    door.answers["subscribe", "door:brief"] = {"error": {"code": 403, "message": "no longer"}}
    await eventually("unsubscribed", lambda: ann.unsubscribed.get("door:brief"))
    expect("why", ann.unsubscribed["door:brief"][-1], (403, "no longer"))
    await eventually("told of it", lambda: [n for n in door.left if n["reason"] == "expired"])

    say("while the service is away the subscription stays for the grace, and no longer")
    door.answers["subscribe", "door:away"] = lambda question: None
    since = time.monotonic()
    await eventually("unsubscribed", lambda: [p for p in away.pushes if "unsubscribe" in p])
    expect("code", [p["unsubscribe"]["code"] for p in away.pushes if "unsubscribe" in p], [2501])
    assert time.monotonic() - since > 2, "it did not stay while the service was away"


async def tokens():
    say("a token for one channel lets in where the namespace does not, and is renewed by the client")
    given = []

    def channel_token(channel, ttl=None, user="42", secret=SECRET):
        claims = {"sub": user, "channel": channel}
        if ttl is not None:
            claims["exp"] = int(time.time()) + ttl
        return jwt.encode(claims, secret, algorithm="HS256")

    async def get_token(channel):
        given.append(channel)
        return channel_token(channel, 2)

    ann = await Person("42").connect()
    await ann.subscribe("admin:secret", get_token=get_token)
    await eventually("renewed", lambda: len(given) >= 3)
    expect("still there", (ann.unsubscribed, len(ann.subscribed["admin:secret"])), ({}, 1))

    say("without a new one it ends after the grace; with a bad one, or another's, so does the connection")
    raw = await RawClient("42", GATEWAY2).connect()
    reply = await raw.ask("subscribe", {"channel": "admin:x", "token": channel_token("admin:x", 1)})
    assert reply["subscribe"]["expires"] and reply["subscribe"]["ttl"] <= 1, reply
    await eventually("unsubscribed", lambda: [p for p in raw.pushes if "unsubscribe" in p])
    expect("code", [p["unsubscribe"]["code"] for p in raw.pushes if "unsubscribe" in p], [2501])
    reply = await raw.ask("subscribe", {"channel": "admin:x", "token": channel_token("admin:x", -5)})
    expect("expired", reply["error"]["code"], 109)
    for bad in (channel_token("admin:y"), channel_token("admin:x", user="7"),
                channel_token("admin:x", secret="another-secret-of-at-least-32-bytes!"), token("42")):
        bad_one = await RawClient("42").connect()
        with contextlib.suppress(websockets.ConnectionClosed, TimeoutError):
            await asyncio.wait_for(bad_one.ask("subscribe", {"channel": "admin:x", "token": bad}), 2)
        await eventually("closed", lambda: bad_one.close)
        expect("how", bad_one.close[:2], (3500, "invalid token"))
    intruder = RawClient("42")
    intruder.socket = await websockets.connect(f"ws://{GATEWAY}/connection/websocket", proxy=None)
    await intruder.socket.send(json.dumps({"id": 1, "connect": {"token": channel_token("room:a")}}))
    with contextlib.suppress(websockets.ConnectionClosed):
        await intruder.socket.recv()
    expect("a channel's token opens no connection", intruder.socket.close_code, 3500)


async def connections():
    say("an expiring connection is refreshed by its client and goes on")
    given = []

    async def get_token():
        given.append(1)
        return token("42", ttl=2)

    ann = Person("42", bearer=token("42", ttl=2))
    ann.client._get_token = get_token
    await ann.connect()
    await eventually("refreshed", lambda: len(given) >= 3)
    expect("one connection", (ann.connections, ann.disconnects), (1, []))

    say("one that is not refreshed ends, on each protocol in its own way")
    raw = await RawClient("9", ttl=1).connect()
    assert raw.reply["expires"] and raw.reply["ttl"] <= 1, raw.reply
    async with plain_socket("topic:news", token("9", ttl=2)) as plain:
        with contextlib.suppress(websockets.ConnectionClosed):
            await receive(plain)
        expect("plain", (plain.close_code, plain.close_reason), (4001, "Authentication required"))
    async with event_source(["topic:news"], token("9", ttl=2)) as events:
        expect("first", (await next_event(events)).event, "connected")
        ended = False
        try:
            await next_event(events, "nothing")
        except ConnectionError:
            ended = True
        assert ended, "the stream outlived its token"
    await eventually("the end", lambda: raw.close)
    expect("how", raw.close[:2], (3005, "connection expired"))


async def scenario():
    door = await Door().open(await backend())
    ann = await subscribing(door)
    await silence(ann)
    await publishing(door, ann)
    await renewing(door)
    await tokens()
    await connections()


run(scenario)
