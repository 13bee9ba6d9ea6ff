"""Phoenix Channels: version 2 frame by frame, and Supabase's client for Python, which speaks version 1."""

from phoenix_socket import *

# Supabase's client takes proxies from the environment.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"

from realtime import AsyncRealtimeClient, RealtimeSubscribeStates  # noqa: E402

OK = {"status": "ok", "response": {}}


def error(reason):
    return {"status": "error", "response": {"reason": reason}}


async def version_two(bus):
    say("a heartbeat, a join, a message from the bus, a push that everybody gets")
    async with Socket(token("42")) as ann, Socket(token("7")) as bob:
        expect("heartbeat", await ann.ask("phoenix", "heartbeat", {}), OK)
        expect("join", await ann.join("room:lobby"), OK)
        expect("join", await bob.join("room:lobby"), OK)
        await publish(bus, "apus.channel.room.lobby", {"text": "from the backend"}, event="news")
        expect(
            "a broadcast", await ann.event("room:lobby", "news"),
            [None, None, "room:lobby", "news", {"text": "from the backend"}])
        expect("push", await ann.ask("room:lobby", "shout", {"text": "hi"}), OK)
        expect("at the other", (await bob.event("room:lobby", "shout"))[4], {"text": "hi"})
        expect("at itself", [m[4] for m in ann.inbox.messages if m[3] == "shout"], [{"text": "hi"}])

        say("presence by user, with a meta for each connection")
        state = (await ann.ever("room:lobby", "presence_state"))[4]
        assert "42" in state and state["42"]["metas"][0]["phx_ref"], state
        await eventually("bob comes", lambda: any(
            m[3] == "presence_diff" and "7" in m[4]["joins"] for m in ann.inbox.messages))
        async with Socket(token("7")) as again:
            await again.join("room:lobby")
            both = (await again.ever("room:lobby", "presence_state"))[4]
            expect("connections of 7", len(both["7"]["metas"]), 2)

        say("errors: a topic that is none, one that is not joined, one that is not allowed")
        expect("unknown", await ann.join("nowhere:x"), error("unmatched topic"))
        expect("not joined", await ann.ask("room:other", "shout", {}), error("unmatched topic"))
        expect("not allowed", await ann.join("admin:x"), error("permission denied"))
        expect("not published", await ann.join("topic:x"), OK)
        expect("not published", await ann.ask("topic:x", "shout", {}), error("permission denied"))

        say("calls: an event rpc:…")

        async def add(message):
            assert message.headers["Apus-User"] == "42", message.headers
            numbers = json.loads(message.data)
            await message.respond(json.dumps({"result": {"sum": numbers["a"] + numbers["b"]}}).encode())

        await bus.subscribe("apus.rpc.test.add", cb=add)
        await bus.flush()
        expect(
            "a call", await ann.ask("room:lobby", "rpc:test.add", {"a": 1, "b": 2}),
            {"status": "ok", "response": {"sum": 3}})
        expect("nobody", (await ann.ask("room:lobby", "rpc:test.nobody", {}))["status"], "error")

        say("a binary push with JSON in it")
        texts = [ann.join_refs["room:lobby"], ann.ref(), "room:lobby", "shout"]
        await ann.socket.send(
            bytes([0] + [len(text) for text in texts]) + "".join(texts).encode() + b'{"binary": true}')
        expect("at the other", (await bob.event("room:lobby", "shout"))[4], {"binary": True})

        say("joining again closes the earlier join; leaving closes this one")
        first = ann.join_refs["room:lobby"]
        expect("again", await ann.join("room:lobby"), OK)
        closed = next(m for m in ann.inbox.messages if m[3] == "phx_close")
        expect("the earlier one's end", closed, [first, first, "room:lobby", "phx_close", {}])
        second = ann.join_refs["room:lobby"]
        expect("leave", await ann.ask("room:lobby", "phx_leave", {}), OK)
        expect("its end", await ann.event("room:lobby", "phx_close"), [second, second, "room:lobby", "phx_close", {}])
        await eventually("ann's leave is shown", lambda: any(
            m[3] == "presence_diff" and "42" in m[4]["leaves"] for m in bob.inbox.messages))

        say("a join goes on where an earlier one was")
        response = (await bob.join("topic:news", {"recover": True}))["response"]
        await bob.ask("topic:news", "phx_leave", {})
        await publish(bus, "apus.channel.topic.news", {"n": 1})
        reply = await bob.join("topic:news", {"recover": response["position"]})
        expect("recovered", reply["response"]["recovered"], True)
        expect("what was missed", (await bob.event("topic:news", "message"))[4], {"n": 1})


async def tokens():
    say("a token by subprotocol and by header; 403 without a good one")
    encoded = base64.b64encode(token("42").encode()).decode().rstrip("=")
    async with Socket(subprotocols=["phoenix", f"base64url.bearer.phx.{encoded}"]) as socket:
        expect("the subprotocol", socket.socket.subprotocol, "phoenix")
        expect("join", await socket.join("user:42"), OK)
    async with Socket(additional_headers={"Authorization": f"Bearer {token('42')}"}) as socket:
        expect("join", await socket.join("user:42"), OK)
    for bearer, parameters in ((None, ""), ("rubbish", ""), (token("42", ttl=-60), ""), (None, "&apikey=rubbish")):
        try:
            async with Socket(bearer, parameters=parameters):
                raise AssertionError("a client without a good token was let in")
        except websockets.InvalidStatus as refused:
            expect("the status", refused.response.status_code, 403)


class Supabase:
    """Somebody with Supabase's client."""

    def __init__(self, user, **claims):
        self.inbox = Inbox(f"{user} with Supabase's client")
        self.states = []
        self.synced = 0
        self.client = AsyncRealtimeClient(f"ws://{GATEWAY}/socket", token=token(user, **claims))

    async def subscribe(self, name, event, options=None):
        self.channel = self.client.channel(name, options)
        self.channel.on_broadcast(event, self.inbox.put)
        self.channel.on_presence_sync(self.sync)
        await self.channel.subscribe(lambda state, failure: self.states.append(state))
        await eventually(
            f"subscribed to {name}: {self.states}", lambda: RealtimeSubscribeStates.SUBSCRIBED in self.states)
        return self

    def sync(self):
        self.synced += 1


async def supabase(bus):
    say("Supabase's client: broadcasts and presence, on channels that everybody else knows too")
    ann = await Supabase("ann", info={"name": "Ann"}).subscribe("room:hall", "shout")
    bob = await Supabase("bob").subscribe("room:hall", "shout")
    async with Socket(token("cy")) as cy:
        expect("join", await cy.join("room:hall"), OK)
        await bob.channel.send_broadcast("shout", {"text": "hi"})
        expect("at ann", (await ann.inbox.next())["payload"], {"text": "hi"})
        expect("at phoenix.js", (await cy.event("room:hall", "shout"))[4], {"text": "hi"})
        expect("push", await cy.ask("room:hall", "shout", {"text": "from cy"}), OK)
        expect("at bob, who does not hear himself", (await bob.inbox.next())["payload"], {"text": "from cy"})
        await publish(bus, "apus.channel.room.hall", {"text": "from the backend"}, event="shout")
        message = await ann.inbox.next(lambda m: m["payload"] == {"text": "from the backend"})
        expect("the event's name", message["event"], "shout")
        await eventually(
            "all three are there", lambda: set(ann.channel.presence_state()) == {"ann", "bob", "cy"})
        expect("the token's info", ann.channel.presence_state()["ann"][0]["name"], "Ann")
        await bob.client.close()
        await eventually("bob's leave", lambda: set(ann.channel.presence_state()) == {"ann", "cy"})
        await ann.client.set_auth(token("ann"))
        await ann.channel.unsubscribe()
    await ann.client.close()


async def leaving():
    say("a gateway that leaves asks its clients back")
    async with Socket(token("42")) as socket:
        expect("exit", await control("terminate", "gateway"), "exit status 0")
        await socket.socket.wait_closed()
        expect("close code", socket.socket.close_code, 1012)


async def scenario():
    bus = await backend()
    await version_two(bus)
    await tokens()
    await supabase(bus)
    expect("connections", await metric("gateway", r'apus_gateway_connections\{protocol="phoenix_v1"\}'), 0)
    await leaving()


run(scenario)
