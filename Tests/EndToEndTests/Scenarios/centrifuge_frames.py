"""The Centrifuge route by raw frames: what its protocol allows and its client for Python does not ask."""

from scenario import *


class Socket:
    """Sends frames as they are and keeps what comes."""

    async def open(self):
        self.socket = await websockets.connect(f"ws://{GATEWAY}/connection/websocket", proxy=None)
        return self

    async def send(self, *commands):
        await self.socket.send("\n".join(c if isinstance(c, str) else json.dumps(c) for c in commands))

    async def replies(self, count):
        """The next `count` messages that are neither pushes nor pings."""
        found = []
        while len(found) < count:
            frame = await asyncio.wait_for(self.socket.recv(), LIMIT)
            for line in frame.split("\n"):
                message = json.loads(line)
                if message and "push" not in message:
                    found.append(message)
        return found

    async def ask(self, command):
        await self.send(command)
        return (await self.replies(1))[0]

    async def closed(self):
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                await asyncio.wait_for(self.socket.recv(), LIMIT)
        return self.socket.close_code, self.socket.close_reason


async def connected(user="42", **more):
    socket = await Socket().open()
    reply = await socket.ask({"id": 1, "connect": {"token": token(user), **more}})
    return socket, reply["connect"]


async def frames():
    say("a connect with all that its clients may send, and all that they look for in the answer")
    first, answer = await connected(name="js", version="1.2", data={"a": 1}, headers={"x": "y"})
    second, other = await connected()
    for key in ("client", "version", "session", "node", "ping", "subs"):
        assert answer.get(key), f"{key}: {answer}"
    expect("pong", answer["pong"], True)
    assert answer["session"] != answer["client"] and answer["session"] != other["session"]
    expect("its own channel", list(answer["subs"]), ["user:42"])

    say("many commands in a frame are answered each, in one frame or more; the same id twice is two answers")
    await first.send(*({"id": n, "presence_stats": {"channel": "user:42"}} for n in range(2, 20)), {"id": 2, "ping": {}})
    replies = await first.replies(19)
    expect("ids", sorted(reply["id"] for reply in replies), [2] + list(range(2, 20)))

    say("commands that nobody knows, or with the wrong things in them, are errors; the connection goes on")
    for command, code in (
        ({"id": 30, "fly": {}}, 104), ({"id": 31, "subscribe": {}}, 107), ({"id": 32, "publish": 7}, 107),
        ({"id": 33, "subscribe": {"channel": "nowhere:x"}}, 102), ({"id": 34, "rpc": {}}, 107),
        ({"id": 35, "publish": {"channel": "topic:x", "data": 1}}, 103), ({"id": 36, "history": {"channel": "room:x"}}, 103),
        ({"id": 37, "presence": {"channel": "topic:x"}}, 103), ({"id": 38, "rpc": {"method": "a..b"}}, 104),
        ({"id": 39, "sub_refresh": {"channel": "room:x", "token": "t"}}, 103),
    ):
        reply = await first.ask(command)
        expect(f"id of {command}", reply["id"], command["id"])
        expect(f"code of {command}", reply["error"]["code"], code)
    await first.send({"send": {"data": {"to": "nobody"}}})
    expect("after a message that wants no answer", await first.ask({"id": 40, "ping": {}}), {"id": 40, "ping": {}})
    expect("leaving what one is not on", await first.ask({"id": 41, "unsubscribe": {"channel": "room:x"}}),
           {"id": 41, "unsubscribe": {}})

    say("what no client can send ends the connection")
    for frame in ("nonsense", "[]", '{"id":1,"connect":{}'):
        socket, _ = await connected()
        await socket.send(frame)
        expect(frame, await socket.closed(), (3501, "bad request"))
    await second.send({"id": 2, "connect": {"token": token("42")}})
    expect("a second connect", (await second.closed())[0], 3501)
    unknown = await Socket().open()
    await unknown.send({"id": 1, "subscribe": {"channel": "topic:x"}})
    expect("a command before the connect", (await unknown.closed())[0], 3501)
    return first


async def history(socket):
    say("history in pages, both ways; a position of another life is told as such")
    reply = await socket.ask({"id": 50, "subscribe": {"channel": "room:h"}})
    start = reply["subscribe"]
    assert start["recoverable"] and start["positioned"] and start["epoch"], start
    for n in range(10):
        reply = await socket.ask({"id": 60 + n, "publish": {"channel": "room:h", "data": n}})
        expect("published", reply["publish"], {})

    async def page(**options):
        reply = await socket.ask({"id": 80, "history": {"channel": "room:h", **options}})
        if "error" in reply:
            return reply["error"]["code"]
        return [p["data"] for p in reply["history"]["publications"]], reply["history"]

    everything, answer = await page(limit=-1)
    expect("everything", everything, list(range(10)))
    expect("the position only", (await page())[0], [])
    expect("limit", (await page(limit=3))[0], [0, 1, 2])
    third = {"offset": answer["publications"][2]["offset"], "epoch": answer["epoch"]}
    expect("on from there", (await page(limit=3, since=third))[0], [3, 4, 5])
    expect("back from there", (await page(limit=3, since=third, reverse=True))[0], [1, 0])
    expect("the newest", (await page(limit=2, reverse=True))[0], [9, 8])
    expect("another life", await page(limit=2, since={"offset": 1, "epoch": "other"}), 112)
    expect("who published", answer["publications"][0]["info"]["user"], "42")

    say("a subscription continues from a position, and from the beginning without an epoch")
    late, _ = await connected("7")
    reply = await late.ask(
        {"id": 2, "subscribe": {"channel": "room:h", "recover": True, "offset": third["offset"], "epoch": third["epoch"]}})
    expect("what was missed", [p["data"] for p in reply["subscribe"]["publications"]], list(range(3, 10)))
    expect("recovered", (reply["subscribe"]["recovered"], reply["subscribe"]["was_recovering"]), (True, True))
    await late.ask({"id": 3, "unsubscribe": {"channel": "room:h"}})
    reply = await late.ask(
        {"id": 4, "subscribe": {"channel": "room:h", "recover": True, "offset": third["offset"], "epoch": ""}})
    expect("without an epoch", reply["subscribe"]["recovered"], True)
    expect("twice", (await late.ask({"id": 5, "subscribe": {"channel": "room:h"}}))["error"]["code"], 105)


async def twice(socket):
    say("a publish with a key of its own is stored once, and another user's same key is another")
    late, _ = await connected("7")
    await late.ask({"id": 2, "subscribe": {"channel": "room:h"}})
    for client, data in ((socket, "a"), (socket, "a"), (late, "b")):
        await client.ask({"id": 90, "publish": {"channel": "room:h", "data": data, "idempotency_key": "k"}})
    reply = await socket.ask({"id": 91, "history": {"channel": "room:h", "limit": 3, "reverse": True}})
    expect("stored", [p["data"] for p in reply["history"]["publications"]], ["b", "a", 9])


async def excluded():
    say("whoever caused a message can be left out")
    bus = await backend()
    ann, bob = await RawClient("42").connect(), await RawClient("7").connect()
    for person in (ann, bob):
        await person.subscribe("room:e")
    headers = {"Apus-Exclude": ann.client}
    await bus.jetstream().publish("apus.channel.room.e", b'"not for ann"', headers=headers)
    await bus.jetstream().publish("apus.channel.room.e", b'"for both"')

    def seen(person):
        return [p["pub"]["data"] for p in person.pushes if p.get("channel") == "room:e" and "pub" in p]

    await eventually("for both", lambda: "for both" in seen(ann) and "for both" in seen(bob))
    expect("ann", seen(ann), ["for both"])
    expect("bob", seen(bob), ["not for ann", "for both"])


async def scenario():
    socket = await frames()
    await history(socket)
    await twice(socket)
    await excluded()


run(scenario)
