"""Phoenix's long polling through two gateways: each request of a session goes to the other one."""

import itertools

from scenario import *

ROUTE = "/socket/longpoll"


class LongPoll:
    """A long-polling client; `header` says whether it sends its session's token as newer phoenix.js do."""

    def __init__(self, http, parameters, header=False):
        self.http, self.parameters, self.header = http, parameters, header
        self.gateways = itertools.cycle([GATEWAY, GATEWAY2])
        self.token = None
        self.inbox = Inbox("a long-polling client")
        self.next = 0

    def request(self, method, **options):
        parameters = {"vsn": "2.0.0", **self.parameters}
        headers = options.pop("headers", {})
        address = f"http://{next(self.gateways)}{ROUTE}?" + "&".join(f"{k}={v}" for k, v in parameters.items())
        if self.token and self.header:
            headers["X-Phoenix-Longpoll-Token"] = self.token
        elif self.token:
            # As phoenix.js appends it, behind an application's own parameter of the same name.
            address += f"&token={self.token}"
        return self.http.request(method, address, headers=headers, **options)

    async def poll(self):
        answer = await self.request("GET")
        expect("the HTTP status", answer.status_code, 200)
        expect("caching", answer.headers["cache-control"], "no-store")
        expect("origins", answer.headers["access-control-allow-origin"], "*")
        body = answer.json()
        self.token = body.get("token")
        for message in body.get("messages", []):
            self.inbox.put(json.loads(message))
        return body["status"]

    async def push(self, *frames, content_type="application/x-ndjson"):
        lines = [frame if isinstance(frame, str) else json.dumps(frame) for frame in frames]
        answer = await self.request("POST", content="\n".join(lines), headers={"Content-Type": content_type})
        expect("the HTTP status", answer.status_code, 200)
        return answer.json()["status"]

    async def until(self, matching):
        """Polls, at the one gateway and the other, until a message matches."""
        for _ in range(50):
            while self.inbox.taken < len(self.inbox.messages):
                message = self.inbox.messages[self.inbox.taken]
                self.inbox.taken += 1
                if matching(message):
                    return message
            status = await self.poll()
            assert status in (200, 204), status
        raise AssertionError(f"not among {self.inbox.messages}")

    async def open(self):
        expect("a new session", await self.poll(), 410)
        assert self.token
        return self


async def session(http, bus, header):
    say(f"a session whose token is {'a header' if header else 'a parameter'}")
    client = await LongPoll(http, {"token": token("42")}, header).open()
    first = client.token
    expect("push", await client.push(["1", "1", "room:poll", "phx_join", {}], ["1", "2", "room:poll", "shout", {"n": 0}]), 200)
    reply = await client.until(lambda m: m[1] == "1")
    expect("the join's reply", reply, ["1", "1", "room:poll", "phx_reply", {"status": "ok", "response": {}}])
    await client.until(lambda m: m[3] == "shout" and m[4] == {"n": 0})
    expect("the token stays", client.token, first)

    say("messages come in order and once, by whichever gateway is polled")
    for number in range(1, 41):
        await publish(bus, "apus.channel.room.poll", {"n": number}, event="count")
        if number % 7 == 0:
            await client.poll()
    await client.until(lambda m: m[3] == "count" and m[4]["n"] == 40)
    expect("what came", [m[4]["n"] for m in client.inbox.messages if m[3] == "count"], list(range(1, 41)))

    say("a poll that waits is answered when something comes")
    waiting = asyncio.create_task(client.until(lambda m: m[3] == "late"))
    await asyncio.sleep(0.2)
    await publish(bus, "apus.channel.room.poll", {}, event="late")
    await waiting
    return client


async def binary(client):
    say("a frame that is no JSON text is binary, in base64")
    import base64

    texts = ["1", "9", "room:poll", "shout"]
    frame = bytes([0] + [len(text) for text in texts]) + "".join(texts).encode() + b'{"binary": true}'
    expect("push", await client.push(base64.b64encode(frame).decode()), 200)
    await client.until(lambda m: m[3] == "shout" and m[4] == {"binary": True})
    expect("older clients push one frame of JSON", await client.push(
        json.dumps([None, "10", "phoenix", "heartbeat", {}], indent=1), content_type="application/json"), 200)
    await client.until(lambda m: m[1] == "10")


async def refusals(http):
    say("without a good token: 403 in the body; a session that is none: 410, and a new one where a client polls")
    for parameters in ({}, {"token": "rubbish"}, {"vsn": "3.0.0"}):
        refused = LongPoll(http, parameters)
        expect(f"open with {parameters}", await refused.poll(), 403)
        expect("no token", refused.token, None)
    lost = LongPoll(http, {}, header=True)
    for text in ("apuslp.nobody.0", "apuslp.*.x", "rubbish"):
        lost.token = text
        expect(f"push to {text}", await lost.push(["1", "1", "room:x", "phx_join", {}]), 410)
    strange = LongPoll(http, {"token": token("42")}, header=True)
    strange.token = "apuslp.nobody.0"
    expect("poll", await strange.poll(), 410)
    assert strange.token != "apuslp.nobody.0"

    say("a push that no client sends, and one that is too large, are refused")
    client = await LongPoll(http, {"token": token("42")}).open()
    expect("too many", await client.push(*[[None, str(n), "phoenix", "heartbeat", {}] for n in range(101)]), 400)
    expect("not base64", await client.push("!!"), 400)
    expect("too large", await client.push(["1", "1", "room:x", "phx_join", {"x": "x" * 70_000}]), 400)
    expect("and the session has ended", await client.push([None, "1", "phoenix", "heartbeat", {}]), 410)

    say("a browser may send the token's header, from pages that are let in")
    for origin, status in ((f"http://{GATEWAY}", 204), ("https://elsewhere", 403)):
        answer = await http.options(
            f"http://{GATEWAY}{ROUTE}",
            headers={"Origin": origin, "Access-Control-Request-Headers": "x-phoenix-longpoll-token"})
        expect(f"preflight from {origin}", answer.status_code, status)
        if status == 204:
            allowed = answer.headers["access-control-allow-headers"].lower()
            assert "x-phoenix-longpoll-token" in allowed and "x-phoenix-authtoken" in allowed, allowed


async def deaths(http):
    say("a session whose gateway dies is gone, and its client opens another at the one that lives")
    on_second = []
    for _ in range(8):
        other = LongPoll(http, {"token": token("7")}, header=True)
        other.gateways = itertools.cycle([GATEWAY2])
        on_second.append(await other.open())
    await control("kill", "gateway2")
    for other in on_second:
        other.gateways = itertools.cycle([GATEWAY])
        expect("push", await other.push([None, "1", "phoenix", "heartbeat", {}]), 410)
    before = on_second[0].token
    expect("poll", await on_second[0].poll(), 410)
    assert on_second[0].token != before
    expect("push", await on_second[0].push(["1", "1", "room:poll", "phx_join", {}]), 200)
    await on_second[0].until(lambda m: m[3] == "phx_reply" and m[4]["status"] == "ok")

    say("a gateway that leaves ends its sessions, also while a poll waits")
    waiting = asyncio.create_task(on_second[0].until(lambda m: False))
    expect("exit", await control("terminate", "gateway"), "exit status 0")
    try:
        await waiting
    except (AssertionError, httpx.HTTPError):
        pass


async def scenario():
    bus = await backend()
    limits = httpx.Timeout(LIMIT)
    async with httpx.AsyncClient(timeout=limits, trust_env=False) as http:
        client = await session(http, bus, header=False)
        await session(http, bus, header=True)
        await binary(client)
        say("nothing for the length of a window is 204")
        quiet = await LongPoll(http, {"token": token("9")}).open()
        began = time.monotonic()
        while (status := await quiet.poll()) == 200:  # nothing of it is asked for
            began = time.monotonic()
        expect("an empty poll", status, 204)
        assert 8 < time.monotonic() - began < 15
        await refusals(http)

        say("sessions without a poll end by themselves")
        await eventually("no connection is left", nobody)
        expect("push", await client.push([None, "90", "phoenix", "heartbeat", {}]), 410)
        await deaths(http)


async def nobody():
    counts = [await metric(name, r'apus_gateway_connections\{protocol="phoenix"\}') for name in ("gateway", "gateway2")]
    return counts == [0, 0]


run(scenario)
