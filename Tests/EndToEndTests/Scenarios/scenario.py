"""What the scenarios share: where the system is, tokens, clients that remember what came, and waiting for things.

Everything that speaks to the system here was written by somebody else: centrifuge-python, websockets, httpx, nats-py, PyJWT.
"""

import asyncio
import contextlib
import json
import os
import re
import sys
import time
import traceback

import centrifuge
import httpx
import httpx_sse
import jwt
import nats
import websockets

NATS = os.environ.get("APUS_TEST_NATS", "")
GATEWAY = os.environ.get("APUS_TEST_GATEWAY", "")
#: Of the second one, where the test started it.
GATEWAY2 = os.environ.get("APUS_TEST_GATEWAY2", "")
#: All of them, where a scenario runs with several.
GATEWAYS = [GATEWAY] + [os.environ[name] for name in (f"APUS_TEST_GATEWAY{number}" for number in range(2, 10)) if name in os.environ]
SECRET = os.environ.get("APUS_TEST_SECRET", "")
API_KEY = os.environ.get("APUS_TEST_API_KEY", "")
DATABASE = os.environ.get("APUS_TEST_DATABASE", "")
FOLDER = os.environ.get("APUS_TEST_FOLDER", "")
COMMAND = os.environ.get("APUS_TEST_COMMAND", "")

#: Seconds that anything may take before it counts as not happening.
LIMIT = 30


def run(scenario):
    """Runs the coroutine function `scenario`; exits 0 if it returns and 1, with the reason, if it raises."""
    async def main():
        try:
            await scenario()
        except BaseException as error:
            print(f"FAILED: {type(error).__name__}: {error}", flush=True)
            traceback.print_exc()
            os._exit(1)
        print("passed", flush=True)
        os._exit(0)  # some clients keep threads or tasks that wait for a reconnect, or do not let themselves be cancelled

    asyncio.run(main())


def say(text):
    print("--", text, flush=True)


def expect(what, actual, expected):
    if actual != expected:
        raise AssertionError(f"{what}: expected {expected!r}, got {actual!r}")


async def eventually(what, check, seconds=LIMIT):
    """Waits until `check` (a function, or one that returns a coroutine) gives something true, and returns that."""
    deadline = time.monotonic() + seconds
    while True:
        found = check()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s: {what}")
        await asyncio.sleep(0.05)


async def control(verb, name):
    """Has the harness `kill`, `terminate` or `start` a service (or nats), or wait until it is `ready`."""
    print(f"@control {verb} {name}", flush=True)
    answer = (await asyncio.to_thread(sys.stdin.readline)).strip()
    if not answer.startswith("done"):
        raise RuntimeError(f"{verb} {name}: {answer or 'the harness is gone'}")
    said = answer[len("done "):]
    if verb in ("start", "ready") and name != "nats":
        os.environ[f"APUS_TEST_ADMIN_{name.upper()}"] = said
    return said


# Tokens


def token(user, *roles, ttl=3600, **claims):
    claims = {"sub": user, "exp": int(time.time()) + ttl, **claims}
    if roles:
        claims["roles"] = list(roles)
    return jwt.encode(claims, SECRET, algorithm="HS256")


# The bus, as a backend sees it


async def backend():
    async def lost(error):
        """The server is killed now and then; the client's own traceback of each attempt would hide what matters."""

    return await nats.connect(NATS, max_reconnect_attempts=-1, reconnect_time_wait=0.2, error_cb=lost)


async def publish_event(bus, kind, event, headers=None):
    """A business event, stored in the stream of events."""
    payload = event if isinstance(event, bytes) else json.dumps(event).encode()
    return await bus.jetstream().publish(f"apus.event.{kind}", payload, headers=headers, timeout=LIMIT)


async def publish(bus, subject, message, event=None):
    """A message on a channel, as any NATS client sends it."""
    await bus.publish(subject, json.dumps(message).encode(), headers={"Apus-Event": event} if event else None)
    await bus.flush()


async def dead_letters(bus):
    """All dead letters as (subject, headers, payload)."""
    stream = bus.jetstream()
    info = await stream.stream_info("APUS_DEAD")
    letters = []
    for sequence in range(max(1, info.state.first_seq), info.state.last_seq + 1):
        with contextlib.suppress(nats.js.errors.NotFoundError):
            letter = await stream.get_msg("APUS_DEAD", sequence)
            letters.append((letter.subject, letter.headers or {}, letter.data or b""))
    return letters


# The gateway over HTTP


def admin_address(service):
    return os.environ[f"APUS_TEST_ADMIN_{service.upper()}"]


def gateway_process():
    """The gateway's process id."""
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{entry}/cmdline", "rb") as file:
                if b"apus-gateway" in (line := file.read()) and FOLDER.encode() in line:
                    return int(entry)
    raise ProcessLookupError("no gateway")


def resident_megabytes(process):
    with open(f"/proc/{process}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1024


async def metrics(service):
    """The service's metrics: {'name{label="value"}': number}."""
    async with httpx.AsyncClient() as http:
        text = (await http.get(f"http://{admin_address(service)}/metrics")).text
    found = {}
    for line in text.splitlines():
        match = re.fullmatch(r"([a-zA-Z_:][\w:]*(?:\{.*\})?) (\S+)", line)
        if match:
            found[match[1]] = float(match[2])
    return found


async def metric(service, pattern):
    """The sum of the metrics whose name and labels match the pattern somewhere."""
    return sum(value for name, value in (await metrics(service)).items() if re.search(pattern, name))


async def rpc(method, parameters, bearer=None):
    """POST /rpc/<method>; returns (status, body)."""
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    content = parameters if isinstance(parameters, (bytes, str)) else json.dumps(parameters)
    async with httpx.AsyncClient(timeout=LIMIT) as http:
        answer = await http.post(
            f"http://{GATEWAY}/rpc/{method}", content=content,
            headers={"Content-Type": "application/json", **headers})
    try:
        return answer.status_code, answer.json()
    except ValueError:
        return answer.status_code, answer.text


# Clients that remember


class Inbox:
    """What came, in order; waits for more."""

    def __init__(self, name):
        self.name = name
        self.messages = []
        self.taken = 0

    def put(self, message):
        self.messages.append(message)

    async def next(self, matching=lambda message: True, seconds=LIMIT):
        """The next message that matches; those before it are passed over."""

        def look():
            while self.taken < len(self.messages):
                message = self.messages[self.taken]
                self.taken += 1
                if matching(message):
                    return [message]
            return None

        try:
            return (await eventually(f"a message for {self.name}", look, seconds))[0]
        except TimeoutError as error:
            raise TimeoutError(f"{error}; it has {self.messages}") from None


class Events(centrifuge.ClientEventHandler):
    def __init__(self, person):
        self.person = person

    async def on_connected(self, context):
        self.person.connections += 1

    async def on_disconnected(self, context):
        self.person.disconnects.append((context.code, context.reason))

    async def on_subscribed(self, context):
        self.person.server_side.setdefault(context.channel, []).append(context)

    async def on_publication(self, context):
        self.person.inbox(context.channel).put(context.pub.data)
        self.person.offsets.setdefault(context.channel, []).append(context.pub.offset)

    async def on_error(self, context):
        self.person.errors.append(context)


class SubscriptionEvents(centrifuge.SubscriptionEventHandler):
    def __init__(self, person, channel):
        self.person = person
        self.channel = channel

    async def on_subscribed(self, context):
        self.person.subscribed.setdefault(self.channel, []).append(context)

    async def on_unsubscribed(self, context):
        self.person.unsubscribed.setdefault(self.channel, []).append((context.code, context.reason))

    async def on_publication(self, context):
        self.person.inbox(self.channel).put(context.pub.data)
        self.person.offsets.setdefault(self.channel, []).append(context.pub.offset)

    async def on_join(self, context):
        self.person.joins.append((self.channel, context.info))

    async def on_leave(self, context):
        self.person.leaves.append((self.channel, context.info))

    async def on_error(self, context):
        self.person.errors.append(context)


class Person:
    """Somebody with the Centrifuge client for Python."""

    def __init__(self, user, *roles, bearer=None, gateway=None):
        self.user = user
        self.inboxes = {}
        self.offsets = {}
        self.connections = 0
        self.disconnects, self.errors, self.joins, self.leaves = [], [], [], []
        self.subscribed, self.unsubscribed = {}, {}
        #: What was said of subscriptions that the server made.
        self.server_side = {}
        self.client = centrifuge.Client(
            f"ws://{gateway or GATEWAY}/connection/websocket", events=Events(self),
            token=token(user, *roles) if bearer is None else bearer,
            min_reconnect_delay=0.1, max_reconnect_delay=0.5, proxy=None)

    def inbox(self, channel):
        return self.inboxes.setdefault(channel, Inbox(f"{self.user} on {channel}"))

    async def connect(self):
        await self.client.connect()
        await self.client.ready(LIMIT)
        return self

    async def subscribe(self, channel, **options):
        subscription = self.client.new_subscription(channel, events=SubscriptionEvents(self, channel), **options)
        await subscription.subscribe()
        await eventually(
            f"{self.user} subscribed to {channel}, errors {self.errors}",
            lambda: self.subscribed.get(channel) or self.unsubscribed.get(channel))
        if self.unsubscribed.get(channel):
            raise PermissionError(f"{self.user} is refused {channel}: {self.unsubscribed[channel]}")
        return subscription

    async def refused(self, channel):
        """The code and reason with which a subscription is refused."""
        try:
            await self.subscribe(channel)
        except PermissionError:
            return self.unsubscribed[channel][-1]
        raise AssertionError(f"{self.user} was let into {channel}")


@contextlib.asynccontextmanager
async def plain_socket(channel, bearer=None, **options):
    """A plain WebSocket on one channel."""
    query = f"?token={bearer}" if bearer else ""
    async with websockets.connect(f"ws://{GATEWAY}/ws/{channel}{query}", proxy=None, **options) as socket:
        yield socket


async def receive(socket, matching=lambda message: True):
    """The next JSON message of a plain WebSocket that matches."""
    async with asyncio.timeout(LIMIT):
        while True:
            message = json.loads(await socket.recv())
            if matching(message):
                return message


@contextlib.asynccontextmanager
async def event_source(channels, bearer=None, last_event_id=None):
    """An SSE stream; yields an iterator of its events, the first of which is `connected`."""
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    if last_event_id is not None:
        headers["Last-Event-ID"] = last_event_id
    timeout = httpx.Timeout(LIMIT, read=LIMIT)
    async with httpx.AsyncClient(timeout=timeout) as http:
        parameters = [("channel", channel) for channel in channels]
        async with httpx_sse.aconnect_sse(
            http, "GET", f"http://{GATEWAY}/events", params=parameters, headers=headers
        ) as source:
            source.response.raise_for_status()
            yield source.aiter_sse()


async def next_event(events, name=None):
    async with asyncio.timeout(LIMIT):
        async for event in events:
            if name is None or event.event == name:
                return event
    raise ConnectionError(f"the stream ended before an event {name or ''}")


class RawClient:
    """A Centrifuge client of a few frames, whose socket can be cut: it remembers pushes and how it was closed."""

    def __init__(self, user, gateway=None, **claims):
        self.user, self.gateway, self.claims = user, gateway or GATEWAY, claims
        self.pushes, self.replies, self.next, self.close = [], {}, 0, None

    async def connect(self):
        self.socket = await websockets.connect(f"ws://{self.gateway}/connection/websocket", proxy=None, max_size=None)
        self.reading = asyncio.create_task(self.read())
        self.reply = (await self.ask("connect", {"token": token(self.user, **self.claims)}))["connect"]
        self.client = self.reply["client"]
        return self

    async def read(self):
        try:
            async for frame in self.socket:
                for line in frame.split("\n"):
                    message = json.loads(line)
                    if message == {}:
                        await self.socket.send("{}")
                    elif "push" in message:
                        self.pushes.append(message["push"])
                    else:
                        self.replies[message["id"]].set_result(message)
        except websockets.ConnectionClosed:
            pass
        self.close = (self.socket.close_code, self.socket.close_reason, time.monotonic())

    async def ask(self, method, body):
        self.next += 1
        reply = self.replies[self.next] = asyncio.get_running_loop().create_future()
        await self.socket.send(json.dumps({"id": self.next, method: body}))
        return await asyncio.wait_for(reply, LIMIT)

    async def subscribe(self, channel, **options):
        reply = await self.ask("subscribe", {"channel": channel, **options})
        if "error" in reply:
            raise PermissionError(reply["error"])
        return self

    def cut(self):
        """Ends the connection as a broken network does: without a goodbye."""
        self.socket.transport.abort()
