"""Two gateways and who is present: over blinks, a gateway's death, and a gateway's leaving."""

from balancer import Balancer
from scenario import *

CHANNEL = "room:lobby"


async def api(gateway, method, parameters):
    async with httpx.AsyncClient(timeout=LIMIT) as http:
        answer = await http.post(f"http://{gateway}/api/{method}", json=parameters, headers={"X-API-Key": API_KEY})
    return answer.json()["result"]


async def users(gateway):
    """Who is present, as a gateway sees it."""
    found = (await api(gateway, "presence", {"channel": CHANNEL}))["presence"]
    return sorted(member["user"] for member in found.values())


def told(watcher):
    """What a watcher was told of who came and left, as ['+ann', '-ann']."""
    return [
        sign + push[kind]["info"]["user"]
        for push in watcher.pushes for kind, sign in (("join", "+"), ("leave", "-")) if kind in push
    ]


async def blink(watchers):
    say("a client that drops and comes back, to the same gateway and to the other, shows no leave and no join")
    ann = await (await RawClient("ann", GATEWAY, info={"name": "Ann"}).connect()).subscribe(CHANNEL)
    for watcher in watchers:
        await eventually("ann is told", lambda: "+ann" in told(watcher))
    for gateway in (GATEWAY, GATEWAY2, GATEWAY2):
        ann.cut()
        ann = await (await RawClient("ann", gateway, info={"name": "Ann"}).connect()).subscribe(CHANNEL)
        expect("listed all the while", (await users(GATEWAY), await users(GATEWAY2)), (["ann", "wanda", "will"],) * 2)
    # Carl goes for good after ann came back: once his leave is shown, hers would have been.
    carl = await (await RawClient("carl", GATEWAY2).connect()).subscribe(CHANNEL)
    for watcher in watchers:
        await eventually("carl is told", lambda: "+carl" in told(watcher))
    carl.cut()
    expect("still listed", "carl" in await users(GATEWAY), True)
    for watcher in watchers:
        await eventually("carl has left", lambda: "-carl" in told(watcher))
        expect("what was told", [t for t in told(watcher) if t[1:] not in ("wanda", "will")], ["+ann", "+carl", "-carl"])
    expect("present", (await users(GATEWAY), await users(GATEWAY2)), (["ann", "wanda", "will"],) * 2)
    say("one that unsubscribes has left at once")
    await ann.ask("unsubscribe", {"channel": CHANNEL})
    for watcher in watchers:
        await eventually("ann has left", lambda: told(watcher)[-1] == "-ann", 2)
    ann.cut()


async def death(watcher):
    say("a gateway is killed: its members are gone after the lease, and not before")
    bob = await (await RawClient("bob", GATEWAY).connect()).subscribe(CHANNEL)
    await eventually("bob is told", lambda: "+bob" in told(watcher))
    killed = time.monotonic()
    expect("exit", await control("kill", "gateway"), "signal 9")
    while "-bob" not in told(watcher):
        seconds = time.monotonic() - killed
        if seconds < 2:
            expect("listed as long as the lease holds", "bob" in await users(GATEWAY2), True)
        assert seconds < 6, "bob is still there"
        await asyncio.sleep(0.05)
    seconds = time.monotonic() - killed
    assert 2.2 < seconds < 4.5, f"the lease of 3 s, less a heartbeat, became {seconds:.2f} s"
    expect("present", await users(GATEWAY2), ["wanda"])
    expect("bob's connection", bob.close[0], 1006)
    await control("start", "gateway")
    await control("ready", "gateway")
    await eventually("the new process knows who is there", lambda: is_present(GATEWAY, ["wanda"]))


async def is_present(gateway, expected):
    return await users(gateway) == expected


async def leaving(watcher):
    say("a gateway leaves: its clients come back to the other, and nobody sees them leave")
    balanced = (await Balancer([GATEWAY, GATEWAY2]).start()).address
    people = [await Person(f"p{n:02}", gateway=balanced).connect() for n in range(20)]
    for person in people:
        await person.subscribe(CHANNEL)
    plain = await websockets.connect(f"ws://{GATEWAY}/ws/topic:news?token={token('polly')}", proxy=None)
    raw = [await (await RawClient(f"r{n:02}").connect()).subscribe(CHANNEL) for n in range(20)]
    names = sorted(["wanda"] + [p.user for p in people] + [r.user for r in raw])
    await eventually("all are present", lambda: is_present(GATEWAY2, names))
    await eventually("all are told", lambda: {"+" + name for name in names} <= set(told(watcher)))
    before = told(watcher)
    began = time.monotonic()
    ending = asyncio.create_task(control("terminate", "gateway"))

    async def not_ready():
        async with httpx.AsyncClient() as http:
            answer = await http.get(f"http://{admin_address('gateway')}/ready")
        return answer.status_code == 503 and answer.json()["conditions"]["accepting"] is False

    await eventually("/ready says that it is leaving", not_ready, 2)
    try:
        await websockets.connect(f"ws://{GATEWAY}/connection/websocket", proxy=None, open_timeout=2)
        raise AssertionError("a new client is let in")
    except (OSError, websockets.InvalidStatus) as refusal:
        say(f"a new client is refused: {refusal}")

    seen = []

    async def come_back():
        """Raw clients come back to the other gateway as soon as they are told."""
        back = []
        waiting = list(raw)
        while waiting:
            for client in [c for c in waiting if c.close]:
                expect("told to come back", client.close[:2], (3001, "shutdown"))
                waiting.remove(client)
                back.append(await (await RawClient(client.user, GATEWAY2).connect()).subscribe(CHANNEL))
            seen.append(await users(GATEWAY2))
            await asyncio.sleep(0.02)
        return back

    back = await come_back()
    expect("exit", await ending, "exit status 0")
    lasted = time.monotonic() - began
    say(f"it took {lasted:.1f} s")
    assert lasted < 10, "longer than shutdown.timeout"
    times = sorted(client.close[2] for client in raw)
    assert times[-1] - times[0] > 1.5, f"all were told within {times[-1] - times[0]:.2f} s"
    await plain.wait_closed()
    expect("a plain WebSocket is told too", plain.close_code, 1001)
    for person in people:
        await eventually(f"{person.user} is back", lambda: person.connections == 2)
    expect("all were listed all the while", [s for s in seen if sorted(set(s)) != names], [])
    # Zoe goes for good after they came back: once her leave is shown, theirs would have been.
    zoe = await (await RawClient("zoe", GATEWAY2).connect()).subscribe(CHANNEL)
    await eventually("zoe is told", lambda: "+zoe" in told(watcher))
    zoe.cut()
    await eventually("zoe has left", lambda: told(watcher)[-1] == "-zoe")
    expect("what was told meanwhile", told(watcher)[len(before):], ["+zoe", "-zoe"])
    expect("present", await users(GATEWAY2), names)
    statistics = await api(GATEWAY2, "presence_stats", {"channel": CHANNEL})
    expect("statistics", statistics, {"num_clients": 41, "num_users": 41})
    expect("the watcher's connection", watcher.close, None)
    assert len(back) == 20


async def scenario():
    wanda = await (await RawClient("wanda", GATEWAY2).connect()).subscribe(CHANNEL, join_leave=True)
    will = await (await RawClient("will", GATEWAY).connect()).subscribe(CHANNEL, join_leave=True)
    silent = await (await RawClient("silent", GATEWAY2).connect()).subscribe("room:other")
    await eventually("both gateways know both", lambda: is_present(GATEWAY, ["wanda", "will"]))
    await eventually("both gateways know both", lambda: is_present(GATEWAY2, ["wanda", "will"]))
    await blink([wanda, will])
    will.cut()
    await eventually("will has left", lambda: "-will" in told(wanda))
    await death(wanda)
    await leaving(wanda)
    expect("who did not ask is told nothing", silent.pushes, [])


run(scenario)
