"""What operators see: every documented metric of a gateway that was used, and its log as JSON."""

import pathlib
import signal
import subprocess

from scenario import *

DOCUMENT = pathlib.Path(__file__).resolve().parents[3] / "docs" / "metrics.md"


def documented():
    """The metrics that the tables for all services and for the gateway name: {name: kind}."""
    found, heading = {}, ""
    for line in DOCUMENT.read_text().splitlines():
        if line.startswith("## "):
            heading = line[3:]
        cells = [cell.strip() for cell in line.split("|")]
        if heading in ("All services", "Gateway") and len(cells) > 3:
            for name in re.findall(r"`(apus_\w+)", cells[1]):
                found[name] = cells[2]
    return found


async def exposition():
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"http://{admin_address('gateway')}/metrics")
    expect("content type", answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
    return answer.text


async def use(bus):
    """Something of everything that a gateway does."""
    async def answer(subject, reply):
        async def callback(message):
            await message.respond(json.dumps(reply).encode())
        await bus.subscribe(subject, cb=callback)

    await answer("apus.rpc.demo.echo", {"result": {"ok": True}})
    await answer("apus.rpc.demo.refuse", {"error": {"code": 409, "message": "no"}})
    await answer("apus.rpc.demo.odd", {"error": {"code": 123456789, "message": "a code of its own"}})
    await answer("apus.hook.task.subscribe", {"error": {"code": 403, "message": "no"}})
    await bus.flush()
    ann = await (await RawClient("ann").connect()).subscribe("room:lobby", join_leave=True)
    bob = await (await RawClient("bob").connect()).subscribe("room:lobby")
    await eventually("bob is told", lambda: any("join" in push and push["join"]["info"]["user"] == "bob" for push in ann.pushes))
    await ann.ask("publish", {"channel": "room:lobby", "data": {"n": 1}})
    for method in ("demo.echo", "demo.refuse", "demo.odd", "demo.nobody"):
        await ann.ask("rpc", {"method": method, "data": {}})
    for channel in ("task:1", "table:main.none", "nowhere:1"):
        with contextlib.suppress(PermissionError):
            await ann.subscribe(channel)
    await ann.ask("presence", {"channel": "room:lobby"})
    position = (await ann.ask("history", {"channel": "room:lobby"}))["history"]
    carl = await RawClient("carl").connect()
    await carl.subscribe("room:lobby", recover=True, epoch=position["epoch"], offset=0)
    with contextlib.suppress(PermissionError):
        await (await RawClient("dora").connect()).subscribe(
            "room:lobby", recover=True, epoch="another", offset=1)
    await bus.publish("apus.channel.default.x", b"not JSON")
    await bus.publish("apus.channel.room.lobby", b"not JSON")
    async with plain_socket("topic:news", token("polly")) as socket:
        await publish(bus, "apus.channel.topic.news", {"n": 2})
        await receive(socket)
        async with event_source(["topic:news"], token("eve")) as events:
            await next_event(events, "connected")
            found = await metrics("gateway")
            for protocol in ("websocket", "sse"):
                expect(protocol, found[f'apus_gateway_connections{{protocol="{protocol}"}}'], 1)
    async with websockets.connect(f"ws://{GATEWAY}/connection/websocket", proxy=None) as socket:
        await socket.send("no JSON")
        await socket.wait_closed()
    return ann, bob, carl


async def scenario():
    bus = await backend()
    clients = await use(bus)
    say("every documented metric is exported, in the kind that the document names")
    text = await exposition()
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE))
    names = documented()
    assert len(names) > 25, names
    expect("not exported, or of another kind", {n: k for n, k in names.items() if kinds.get(n) != k}, {})
    # Only those that something happened to have series; the document must name these too.
    expect("exported and not documented", {n for n in kinds if n.startswith("apus_")} - set(names), set())
    helped = set(re.findall(r"^# HELP (\w+) \S", text, re.MULTILINE))
    say(f"without a HELP line: {sorted(set(names) - helped)}")
    assert len(helped) > 25

    say("and has counted what was done")

    async def at_least(pattern, number):
        await eventually(f"{pattern} is {number}", lambda: reached(pattern, number), 10)

    async def reached(pattern, number):
        return await metric("gateway", pattern) >= number

    for pattern, number in (
        (r'^apus_gateway_connections\{protocol="centrifuge"\}', 4),
        (r'^apus_gateway_subscriptions\{protocol="centrifuge"\}', 3),
        (r'^apus_gateway_commands_total\{kind="call"\}', 4),
        (r'^apus_gateway_commands_total\{kind="publish"\}', 1),
        (r'^apus_gateway_messages_sent_total\{kind="publication"\}', 2),
        (r'^apus_gateway_messages_sent_total\{kind="presence"\}', 1),
        (r'^apus_gateway_messages_sent_total\{kind="error"\}', 4),
        (r'^apus_gateway_sent_bytes_total', 500),
        (r'^apus_gateway_received_bytes_total', 500),
        (r'^apus_gateway_malformed_frames_total', 1),
        (r'^apus_gateway_invalid_messages_total', 1),
        (r'^apus_gateway_errors_total\{code="other"\}', 1),
        (r'^apus_gateway_errors_total\{code="409"\}', 1),
        (r'^apus_gateway_refused_total\{reason="bad request"\}', 1),
        (r'^apus_gateway_recoveries_total\{outcome="recovered"\}', 1),
        (r'^apus_gateway_recoveries_total\{outcome="failed"\}', 1),
        (r'^apus_gateway_rpc_seconds_count\{outcome="answered"\}', 1),
        (r'^apus_gateway_rpc_seconds_count\{outcome="refused"\}', 2),
        (r'^apus_gateway_rpc_seconds_count\{outcome="nobody"\}', 1),
        (r'^apus_gateway_hook_seconds_count\{hook="subscribe",outcome="refused"\}', 1),
        (r'^apus_gateway_hook_seconds_count\{hook="subscribe",outcome="nobody"\}', 1),
        (r'^apus_gateway_delivery_seconds_count', 2),
        (r'^apus_gateway_event_loop_lag_seconds_count', 4),
        (r'^apus_gateway_presence_changes_total\{kind="joined"\}', 3),
        (r'^apus_gateway_presence_announcements_total\{type="changes"\}', 1),
        (r'^apus_gateway_presence_announcements_total\{type="heartbeat"\}', 1),
    ):
        await at_least(pattern, number)
    assert await metric("gateway", "123456789") == 0, "a service's own code became a label"

    say("histograms are cumulative, and a message is written soon after it came")
    found = await metrics("gateway")
    buckets = [v for n, v in found.items() if n.startswith("apus_gateway_delivery_seconds_bucket")]
    expect("cumulative", buckets, sorted(buckets))
    expect("the last holds all", buckets[-1], found["apus_gateway_delivery_seconds_count"])
    assert found["apus_gateway_delivery_seconds_sum"] / found["apus_gateway_delivery_seconds_count"] < 1

    say("connections that end are no longer counted")
    for client in clients:
        client.cut()
    await eventually("one is left", lambda: only_one(), 10)
    await logs()


async def only_one():
    return await metric("gateway", r'^apus_gateway_connections\{protocol="centrifuge"\}') == 1


async def logs():
    say("a log in JSON: one object a line, connections with client, user and protocol, no token")
    program = pathlib.Path(COMMAND).with_name("apus-gateway")
    process = subprocess.Popen(
        [program, "--nats-url", NATS, "--gateway-token-secret", SECRET, "--gateway-listen", "127.0.0.1:0",
         "--log-format", "json", "--log-level", "debug"],
        stderr=subprocess.PIPE, text=True)
    lines = []

    def read():
        for line in process.stderr:
            lines.append(line)

    reading = asyncio.create_task(asyncio.to_thread(read))

    def find(**fields):
        found = [entry for entry in map(json.loads, lines) if all(entry.get(k.replace("__", ".")) == v for k, v in fields.items())]
        return found[0] if found else None

    started = await eventually("it has started", lambda: find(message="started"))
    client = await RawClient("42", started["listen"]).connect()
    identity = dict(connection__client=client.client, connection__user="42", connection__protocol="centrifuge")
    entry = await eventually("the client has connected", lambda: find(message="a client has connected", **identity))
    expect("level and service", (entry["level"], entry["service"]), ("debug", "apus-gateway"))
    client.cut()
    await eventually("the connection has ended", lambda: find(message="a connection has ended", **identity))
    process.send_signal(signal.SIGTERM)
    expect("exit", await asyncio.to_thread(process.wait, LIMIT), 0)
    await reading
    assert find(message="draining", level="info") and find(message="stopped", level="notice"), lines
    secrets = [line for line in lines if token("42").split(".")[0] in line or SECRET in line]
    expect("lines with a token or the secret", secrets, [])


run(scenario)
