"""The fault run: three gateways, several publishers, clients that are dropped again and again, gateways and NATS killed at
random. Then each client's record is compared with the log: nothing lost, nothing twice, nothing out of order, and
`recovered: false` only where history was really gone.

APUS_TEST_SEED repeats the choices of a run, APUS_TEST_SECONDS makes it longer, APUS_TEST_OUTAGE is how many seconds NATS is away.
"""

import os
import random

from balancer import Balancer
from scenario import *

SECONDS = float(os.environ.get("APUS_TEST_SECONDS") or 25)
#: How long NATS is away or stands still; unset, another moment each time.
OUTAGE = float(os.environ.get("APUS_TEST_OUTAGE") or 0)
#: What the `room` namespace keeps of a channel, and what `short` (in the test's configuration) does.
HISTORY = {"room": 100, "short": 5}
CHANNELS = ["room:one", "room:two", "short:one"]


class Publisher:
    """Publishes numbered messages, each until it is acknowledged: the same id makes another attempt harmless."""

    def __init__(self, name, bus, log):
        self.name, self.bus, self.log, self.count, self.is_running = name, bus, log, 0, True

    async def run(self, order):
        stream = self.bus.jetstream(timeout=1)
        while self.is_running:
            channel = order.choices(CHANNELS, [4, 4, 1])[0]
            self.count += 1
            subject = "apus.channel." + channel.replace(":", ".")
            data = {"by": self.name, "number": self.count, "channel": channel}
            while True:
                try:
                    receipt = await stream.publish(
                        subject, json.dumps(data).encode(), headers={"Nats-Msg-Id": f"{self.name}-{self.count}"})
                    self.log[channel][receipt.seq] = data
                    break
                except Exception:  # the server is away, or its answer was lost
                    await asyncio.sleep(0.1)
            await asyncio.sleep(order.uniform(0.005, 0.05))


class Record:
    """What one client got of one channel: runs of offsets, each begun by a position from which the client counts."""

    def __init__(self, who, channel):
        self.who, self.channel = who, channel
        self.runs = []
        self.failures = 0

    def begins(self, position, was_recovering, recovered):
        """The client is subscribed (again) at `position`."""
        if was_recovering and recovered:
            return
        if was_recovering:
            self.failures += 1
        self.runs.append((position, []))

    def got(self, offset, data):
        self.runs[-1][1].append((offset, data))

    def check(self, log):
        """`log` is everything that was ever stored on the channel: [(offset, data)]."""
        size = HISTORY[self.channel.split(":")[0]]
        for index, (start, got) in enumerate(self.runs):
            last = got[-1][0] if got else start
            expected = [entry for entry in log if start < entry[0] <= last]
            if got != expected:
                offsets, wanted = [o for o, _ in got], [o for o, _ in expected]
                raise AssertionError(
                    f"{self.who} on {self.channel}, from {start}: lost {sorted(set(wanted) - set(offsets))}, "
                    f"not in the log {sorted(set(offsets) - set(wanted))}, twice "
                    f"{sorted(o for o in set(offsets) if offsets.count(o) > 1)}, in order {offsets == sorted(offsets)}")
            if index + 1 < len(self.runs):
                missed = [o for o, _ in log if last < o <= self.runs[index + 1][0]]
                if len(missed) <= size:
                    raise AssertionError(
                        f"{self.who} on {self.channel} was told at {last} that it lost messages; {len(missed)} were "
                        f"missed, and the history keeps {size}")
        return sum(len(got) for _, got in self.runs)

    def is_at(self, offset):
        return bool(self.runs) and (self.runs[-1][1][-1][0] if self.runs[-1][1] else self.runs[-1][0]) >= offset


class Listener(centrifuge.SubscriptionEventHandler):
    def __init__(self, record):
        self.record = record

    async def on_subscribed(self, context):
        self.record.begins(context.stream_position.offset if not context.was_recovering or not context.recovered else 0,
                           context.was_recovering, context.recovered)

    async def on_publication(self, context):
        self.record.got(context.pub.offset, context.pub.data)


async def centrifuge_client(name, balancer):
    client = centrifuge.Client(
        f"ws://{balancer.address}/connection/websocket", token=token(name), min_reconnect_delay=0.1,
        max_reconnect_delay=0.5, proxy=None)
    await client.connect()
    records = []
    for channel in CHANNELS:
        record = Record(f"centrifuge {name}", channel)
        records.append(record)
        await client.new_subscription(
            channel, events=Listener(record), positioned=True, recoverable=True, min_resubscribe_delay=0.1,
            max_resubscribe_delay=0.5).subscribe()
    return records


async def event_stream_client(name, balancer, stopped):
    """An EventSource: comes back by itself with the last id it has seen."""
    records = {channel: Record(f"event stream {name}", channel) for channel in CHANNELS}

    async def run():
        last = None
        while not stopped.is_set():
            headers = {"Authorization": f"Bearer {token(name)}"} | ({"Last-Event-ID": last} if last else {})
            try:
                async with httpx.AsyncClient(timeout=httpx.Timeout(5, read=None)) as http:
                    parameters = [("channel", channel) for channel in CHANNELS]
                    async with httpx_sse.aconnect_sse(
                        http, "GET", f"http://{balancer.address}/events", params=parameters, headers=headers
                    ) as source:
                        async for event in source.aiter_sse():
                            data = json.loads(event.data)
                            positions = dict(cursor(event.id))
                            if event.event == "connected":
                                for channel, state in data["channels"].items():
                                    records[channel].begins(
                                        state["position"]["offset"], last is not None, state["recovered"])
                            elif event.event == "message":
                                channel = data["channel"]
                                records[channel].got(positions[channel], data)
                            last = event.id
            except (httpx.HTTPError, httpx_sse.SSEError, OSError):
                pass
            await asyncio.sleep(0.2)

    return list(records.values()), asyncio.ensure_future(run())


def cursor(text):
    """The positions in an id, which is opaque to everybody but a test that wants to know which channel it was."""
    for part in (text or "").split(","):
        if part:
            channel, _, offset = part.split("~")
            yield channel.replace("%3A", ":"), int(offset)


async def poll_client(name, balancer, stopped):
    """Long polling: `position` of an answer is the next one's `after`."""
    records = {channel: Record(f"poll {name}", channel) for channel in CHANNELS}

    async def run():
        position = None
        async with httpx.AsyncClient(timeout=10) as http:
            while not stopped.is_set():
                parameters = [("channel", channel) for channel in CHANNELS]
                parameters += [("wait", "2" if position else "0")] + ([("after", position)] if position else [])
                try:
                    answer = await http.get(
                        f"http://{balancer.address}/poll", params=parameters,
                        headers={"Authorization": f"Bearer {token(name)}"})
                    if answer.status_code != 200:
                        raise OSError(answer.status_code)
                    body = answer.json()
                except (httpx.HTTPError, OSError, ValueError):
                    await asyncio.sleep(0.2)
                    continue
                now = dict(cursor(body["position"]))
                # What comes with a first answer came while it was made: the client begins before it.
                first = {m["channel"]: m["offset"] - 1 for m in reversed(body["messages"])}
                if position is None:
                    for channel, record in records.items():
                        record.begins(first.get(channel, now[channel]), False, False)
                for channel in body.get("lost", []):
                    records[channel].begins(first.get(channel, now[channel]), True, False)
                for message in body["messages"]:
                    records[message["channel"]].got(message["offset"], message["data"])
                position = body["position"]

    return list(records.values()), asyncio.ensure_future(run())


async def scenario():
    seed = int(os.environ.get("APUS_TEST_SEED") or random.randrange(1_000_000))
    say(f"seed {seed}, {SECONDS:.0f} s")
    order = random.Random(seed)
    stopped = asyncio.Event()
    #: Everything that is ever stored on each channel, by its sequence, as the server acknowledged it.
    log = {channel: {} for channel in CHANNELS}
    publishers = [Publisher(f"p{number}", await backend(), log) for number in range(3)]
    publishing = [asyncio.ensure_future(p.run(random.Random(seed + n))) for n, p in enumerate(publishers)]

    balancers, records, running = [], [], []
    for number in range(12):
        balancer = await Balancer(GATEWAYS, random.Random(seed + 100 + number)).start()
        balancers.append(balancer)
        if number < 6:
            records += await centrifuge_client(f"c{number}", balancer)
        elif number < 9:
            found, task = await event_stream_client(f"e{number}", balancer, stopped)
            records += found
            running.append(task)
        else:
            found, task = await poll_client(f"l{number}", balancer, stopped)
            records += found
            running.append(task)
    await eventually("every client is on every channel", lambda: all(record.runs for record in records))

    async def drop_clients():
        while not stopped.is_set():
            await asyncio.sleep(order.uniform(0.1, 0.5))
            asyncio.ensure_future(order.choice(balancers).drop(order.choice([0, 0.5, 2])))

    dropping = asyncio.ensure_future(drop_clients())
    names = [f"gateway{number or ''}".replace("gateway1", "gateway") for number in range(1, len(GATEWAYS) + 1)]
    deadline = time.monotonic() + SECONDS
    turn = 0
    while time.monotonic() < deadline:
        await asyncio.sleep(order.uniform(0.5, 1.5))
        turn += 1
        what = ["gateway", "gateway", "nats", "gateway", "freeze"][turn % 5]
        if what == "gateway":
            name = order.choice(names)
            say(f"{name} is killed")
            await control("kill", name)
            await asyncio.sleep(order.uniform(0, 1))
            await control("start", name)
        elif what == "nats":
            say("NATS is killed")
            await control("kill", "nats")
            await asyncio.sleep(OUTAGE or order.uniform(0, 1.5))
            await control("start", "nats")
        else:
            say("NATS stands still")
            await control("freeze", "nats")
            await asyncio.sleep(OUTAGE or order.uniform(0.5, 1.5))
            await control("thaw", "nats")

    say("quiet: everybody comes to the end of the log")
    dropping.cancel()
    for name in names:
        await control("ready", name)
    await asyncio.sleep(2.5)  # the last drop ends
    for publisher in publishers:
        publisher.is_running = False
    await asyncio.gather(*publishing)
    published = sum(publisher.count for publisher in publishers)
    expect("stored once each", sum(len(entries) for entries in log.values()), published)
    log = {channel: sorted(entries.items()) for channel, entries in log.items()}
    try:
        await eventually(
            "every client is at the end of every channel",
            lambda: all(record.is_at(log[record.channel][-1][0]) for record in records))
    except TimeoutError as error:
        behind = [(r.who, r.channel, r.runs[-1][0], r.runs[-1][1][-1:]) for r in records if not r.is_at(log[r.channel][-1][0])]
        raise TimeoutError(f"{error}: {behind}") from None
    stopped.set()
    checked = sum(record.check(log[record.channel]) for record in records)
    failures = sum(record.failures for record in records)
    say(f"{published} messages published, {checked} deliveries of {len(records)} subscriptions compared; "
        f"{failures} times history was gone and the client was told")
    assert checked > published * 2, "hardly anything was delivered"


run(scenario)
