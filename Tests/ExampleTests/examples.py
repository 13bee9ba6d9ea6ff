"""Runs the examples against a real NATS server and drives them as somebody outside would.

Usage: examples.py SHIPMENTS ANY_LANGUAGE CHAT GATEWAY CHAT_CONFIGURATION: programs, and the folder of those in Python.
Prints "ok …" or "not ok …" for each behaviour; exits 1 if one failed.
"""

import asyncio
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

import centrifuge
import nats
import websockets
from nats.errors import NoRespondersError

os.environ["APUS_TEST_SECRET"] = "only-for-trying-at-least-32-bytes"
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "EndToEndTests/Scenarios"))
import scenario  # noqa: E402: what the end-to-end tests have for clients
from scenario import Person  # noqa: E402

LIMIT = 30  # seconds that anything may take before it counts as not happening


@contextlib.contextmanager
def nats_server():
    """A server on a free port with a store of its own; yields its URL."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="apus-examples-"))
    arguments = ["nats-server", "-a", "127.0.0.1", "-p", "-1", "-js", "-sd", folder, "--ports_file_dir", folder]
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(LIMIT * 20):
            for file in folder.glob("*.ports"):
                with contextlib.suppress(ValueError):
                    urls = json.loads(file.read_text())["nats"]
                    yield next(url for url in urls if "127.0.0.1" in url)
                    return
            if process.poll() is not None:
                raise RuntimeError(f"nats-server ended with {process.returncode}")
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.05)
        raise TimeoutError("nats-server wrote no ports file")
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


class Program:
    """A program under test: its output is shown if something goes wrong."""

    def __init__(self, *command):
        self.command = [str(part) for part in command]
        self.log = tempfile.TemporaryFile()
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=self.log, stderr=subprocess.STDOUT)

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(LIMIT)

    def output(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")


async def call(client, method, parameters, headers=None):
    """Calls a method, waiting for the service to have registered."""
    for _ in range(LIMIT * 10):
        try:
            payload = parameters if isinstance(parameters, bytes) else json.dumps(parameters).encode()
            reply = await client.request(f"apus.rpc.{method}", payload, timeout=LIMIT, headers=headers)
            return json.loads(reply.data)
        except NoRespondersError:
            await asyncio.sleep(0.1)
    raise TimeoutError(f"nobody answers {method}")


async def publish_event(client, kind, event):
    """Publishes a business event as a backend does, once a service has made the stream."""
    stream = client.jetstream()
    for _ in range(LIMIT * 10):
        try:
            payload = event if isinstance(event, bytes) else json.dumps(event).encode()
            return await stream.publish(f"apus.event.{kind}", payload)
        except Exception as error:  # no stream yet
            last = error
            await asyncio.sleep(0.1)
    raise TimeoutError(f"no stream takes events: {last}")


async def services(client):
    """The names of those who answer $SRV.PING within half a second."""
    inbox = client.new_inbox()
    answers = await client.subscribe(inbox)
    await client.publish("$SRV.PING", reply=inbox)
    names = set()
    with contextlib.suppress(nats.errors.TimeoutError):
        while True:
            names.add(json.loads((await answers.next_msg(timeout=0.5)).data)["name"])
    return names


def expect(what, actual, expected):
    if actual != expected:
        raise AssertionError(f"{what}: expected {expected!r}, got {actual!r}")


async def own_service(client, program):
    headers = {"Apus-User": "42"}
    expect("estimate", await call(client, "shipments.estimate", {"distance_km": 100}, headers),
           {"result": {"days": 1, "for": "42"}})
    expect("code of a wrong parameter",
           (await call(client, "shipments.estimate", {"distance_km": "far"}))["error"]["code"], 400)
    expect("code of what is not JSON", (await call(client, "shipments.estimate", b"{"))["error"]["code"], 400)
    assert "shipments" in await services(client), "the service does not answer $SRV.PING"
    yield "own-service answers a call, refuses wrong parameters, and is listed as a service"

    live = await client.subscribe("apus.live.topic.shipments")
    await publish_event(client, "order.status_changed", b"this is not JSON")
    await publish_event(client, "order.status_changed", {"order_id": 1, "user_id": "42", "status": "packed"})
    await publish_event(client, "order.status_changed", {"order_id": 2, "user_id": "42", "status": "shipped"})
    message = await live.next_msg(timeout=LIMIT)
    expect("published", json.loads(message.data), {"order_id": 2})
    expect("name of the event", message.headers["Apus-Event"], "shipped")
    yield "own-service handles events and publishes to a channel with history"

    expect("exit status after SIGTERM", program.stop(), 0)
    await publish_event(client, "order.status_changed", {"order_id": 3, "user_id": "42", "status": "shipped"})
    program.start()
    expect("published after a restart", json.loads((await live.next_msg(timeout=LIMIT)).data), {"order_id": 3})
    yield "own-service drains on SIGTERM and handles later what happened while it was stopped"


async def any_language(client, program):
    headers = {"Apus-User": "42"}
    expect("quote", await call(client, "prices.quote", {"quantity": 4}, headers),
           {"result": {"price": 12, "for": "42"}})
    expect("code of a wrong parameter", (await call(client, "prices.quote", {"quantity": "x"}))["error"]["code"], 400)
    assert "prices" in await services(client), "the service does not answer $SRV.PING"
    yield "any-language answers a call, refuses wrong parameters, and is listed as a service"

    channel = await client.subscribe("apus.channel.topic.prices")
    await publish_event(client, "inventory.changed", b"this is not JSON")
    await publish_event(client, "inventory.changed", {"product_id": "P-1", "quantity": 9, "threshold": 5, "version": 1})
    await publish_event(client, "inventory.changed", {"product_id": "P-7", "quantity": 3, "threshold": 5, "version": 1})
    expect("published", json.loads((await channel.next_msg(timeout=LIMIT)).data), {"product_id": "P-7", "price": "up"})
    yield "any-language handles events and publishes to a channel"

    expect("exit status after SIGTERM", program.stop(), 0)
    await publish_event(client, "inventory.changed", {"product_id": "P-8", "quantity": 1, "threshold": 5, "version": 1})
    program.start()
    expect("published after a restart", json.loads((await channel.next_msg(timeout=LIMIT)).data)["product_id"], "P-8")
    yield "any-language handles later what happened while it was stopped"


async def gateway_address(gateway):
    """Where a gateway that listens on a free port does so."""
    return (await scenario.eventually(
        "the gateway's address", lambda: re.search(r"listen=(\S+)", gateway.output())))[1]


async def refusal(call):
    """The error with which a command is answered."""
    try:
        answer = await call
    except centrifuge.ReplyError as error:
        return error
    raise AssertionError(f"expected an error, got {answer!r}")


async def polls(client, program, gateway):
    scenario.GATEWAY = await gateway_address(gateway)
    ann, bob = await Person("42").connect(), await Person("7").connect()
    room = await ann.subscribe("poll:tea")
    expect("votes at the start", ann.subscribed["poll:tea"][0].data, {"yes": 0, "no": 0})
    await bob.subscribe("poll:tea")
    await room.publish({"vote": "yes"})
    for person in (ann, bob):
        expect("votes", await person.inbox("poll:tea").next(), {"yes": 1, "no": 0})
    for wrong in ({"vote": "maybe"}, {}, "yes", None, [1]):
        expect("code of a wrong vote", (await refusal(room.publish(wrong))).code, 400)
    late = await Person("9").connect()
    await late.subscribe("poll:tea")
    expect("votes for who comes later", late.subscribed["poll:tea"][0].data, {"yes": 1, "no": 0})
    yield "a channel handler in Python answers joins with data, replaces what is sent, and refuses"


class PhoenixSocket:
    """Version 2 of Phoenix's protocol, frame by frame."""

    def __init__(self, socket):
        self.socket = socket
        self.lastReference = 0
        self.events = []

    async def push(self, topic, event, payload):
        """Sends, and returns status and response of the reply; what comes before it is kept."""
        self.lastReference += 1
        reference = str(self.lastReference)
        await self.socket.send(json.dumps(["1", reference, topic, event, payload]))
        reply = await self.next(lambda frame: frame[1] == reference and frame[3] == "phx_reply")
        return reply[4]["status"], reply[4]["response"]

    async def next(self, matching):
        async with asyncio.timeout(LIMIT):
            while True:
                for frame in self.events:
                    if matching(frame):
                        self.events.remove(frame)
                        return frame
                self.events.append(json.loads(await self.socket.recv()))


@contextlib.asynccontextmanager
async def phoenix_socket(user):
    address = f"ws://{scenario.GATEWAY}/socket/websocket?vsn=2.0.0&token={scenario.token(user)}"
    async with websockets.connect(address, proxy=None) as socket:
        yield PhoenixSocket(socket)


async def chat_over_phoenix(others):
    """A client whose events have names and whose pushes have replies, in the room of `others`."""
    async with phoenix_socket("21") as socket:
        status, joined = await socket.push("chat:lobby", "phx_join", {})
        expect("join", (status, len(joined["messages"])), ("ok", 50))
        status, reply = await socket.push("chat:lobby", "message", {"text": "from Phoenix"})
        assert status == "ok" and reply["id"] > joined["messages"][-1]["id"], reply
        frame = await socket.next(lambda frame: frame[3] == "message")
        expect("its own message", (frame[4]["text"], frame[4]["id"]), ("from Phoenix", reply["id"]))
        for person in others:
            await person.inbox("chat:lobby").next(lambda message: message.get("text") == "from Phoenix")
        status, older = await socket.push("chat:lobby", "older", {"before": joined["messages"][0]["id"]})
        expect("older", (status, older["messages"][-1]["text"]), ("ok", "number 9"))
        expect("typing", (await socket.push("chat:lobby", "typing", {}))[0], "ok")
        for person in others:
            await person.inbox("chat:lobby").next(lambda message: message == {"user": "21"})
        status, refused = await socket.push("chat:lobby", "dance", {})
        expect("an unknown event", (status, refused["code"]), ("error", 404))
        assert not [frame for frame in socket.events if frame[3] == "typing"], "its own typing came back"


async def chat(client, program, gateway):
    scenario.GATEWAY = await gateway_address(gateway)
    ann, bob = await Person("42").connect(), await Person("7").connect()
    lobby = await ann.subscribe("chat:lobby")
    expect("an empty room", ann.subscribed["chat:lobby"][0].data, {"room": "lobby", "messages": []})
    at_bob = await bob.subscribe("chat:lobby")
    await lobby.publish({"text": "hello, wörld 🙂"})
    for person in (ann, bob):
        message = await person.inbox("chat:lobby").next()
        assert message.pop("sent_at").endswith("Z"), message
        expect("a message", message, {"id": 1, "user": "42", "text": "hello, wörld 🙂"})
    yield "chat stores a message and sends it to everybody with its id"

    await lobby.publish({"type": "typing"})
    expect("typing, at the other", await bob.inbox("chat:lobby").next(), {"user": "42"})
    await lobby.publish({"text": "after typing"})
    expect("at who types", (await ann.inbox("chat:lobby").next())["text"], "after typing")
    yield "chat tells everybody but the sender that somebody is typing"

    moderator = await Person("1", "moderator").connect()
    expect("muting, by anybody", (await refusal(bob.client.rpc("chat.mute", {"user": "42"}))).code, 403)
    await moderator.client.rpc("chat.mute", {"user": "7"})
    expect("sending while muted", (await refusal(at_bob.publish({"text": "me too"}))).code, 403)
    await moderator.client.rpc("chat.mute", {"user": "7", "muted": False})
    for wrong in ({"text": ""}, {"text": "x" * 2001}, {"text": 5}, {}, None, "hello"):
        expect(f"code of {str(wrong)[:20]}", (await refusal(lobby.publish(wrong))).code, 400)
    expect("code of an unknown event", (await refusal(lobby.publish({"type": "dance"}))).code, 404)
    yield "chat refuses who is muted and what is no message"

    again = await bob.subscribe("chat:again")
    for _ in range(2):
        await again.publish({"text": "once", "key": "k1"})
    await ann.subscribe("chat:again")
    texts = [message["text"] for message in ann.subscribed["chat:again"][0].data["messages"]]
    expect("sent twice with one key", texts, ["once"])
    for number in range(60):
        await lobby.publish({"text": f"number {number}"})
    late = await Person("9").connect()
    await late.subscribe("chat:lobby")
    messages = late.subscribed["chat:lobby"][0].data["messages"]
    expect("the latest 50", [message["text"] for message in messages], [f"number {number}" for number in range(10, 60)])
    ids = [message["id"] for message in messages]
    expect("the order of ids", ids, sorted(set(ids)))
    yield "chat answers a join with the latest 50 messages; one sent twice with the same key is stored once"

    await chat_over_phoenix([ann, late])
    yield "chat serves Phoenix clients too: names of events, replies to pushes"
    last = await Person("9").connect()
    await last.subscribe("chat:lobby")
    messages = last.subscribed["chat:lobby"][0].data["messages"]

    program.stop(signal.SIGKILL)
    error = await refusal(lobby.publish({"text": "anybody there?"}))
    assert error.temporary, f"{error.code} {error.message}"
    waiting = await Person("5").connect()
    joining = asyncio.create_task(waiting.subscribe("chat:lobby"))
    await scenario.eventually("a temporary error of the join", lambda: waiting.errors)
    expect("joined while the service was down", joining.done(), False)
    await client.publish("apus.channel.chat.lobby", b'{"text": "from the bus"}')
    await ann.inbox("chat:lobby").next(lambda message: message == {"text": "from the bus"})
    program.start()
    await joining
    expect("the history after kill -9", waiting.subscribed["chat:lobby"][0].data["messages"], messages)
    await lobby.publish({"text": "back"})
    expect("at who waited", (await waiting.inbox("chat:lobby").next())["text"], "back")
    yield "chat killed with -9 is a temporary error, and has its history when it is back"

    expect("exit status after SIGTERM", program.stop(), 0)
    yield "chat drains on SIGTERM"


@contextlib.contextmanager
def running(*programs):
    """Programs that are ended, however the test ends; yields them."""
    started = []
    try:
        for command in programs:
            started.append(Program(*command))
        yield started
    finally:
        for program in started:
            program.stop(signal.SIGKILL)


async def main(shipments, any_language_folder, chat_program, gateway, chat_configuration):
    failures = 0
    folder = pathlib.Path(any_language_folder)
    with nats_server() as url, tempfile.TemporaryDirectory(prefix="apus-chat-") as data:
        client = await nats.connect(url)
        with_gateway = [gateway, "--nats-url", url, "--gateway-listen", "127.0.0.1:0", "--config"]
        for test, commands in (
            (own_service, [[shipments, "--nats-url", url]]),
            (any_language, [[sys.executable, folder / "prices.py", url]]),
            (polls, [[sys.executable, folder / "polls.py", url], with_gateway + [folder / "gateway.yaml"]]),
            (chat, [[chat_program, "--nats-url", url, "--chat-database", f"{data}/chat.sqlite"],
                    with_gateway + [chat_configuration]]),
        ):
            with running(*commands) as programs:
                try:
                    async with asyncio.timeout(120):
                        async for behaviour in test(client, *programs):
                            print("ok", behaviour, flush=True)
                except Exception as error:
                    failures += 1
                    print(f"not ok {test.__name__}: {type(error).__name__}: {error}", flush=True)
                    for program in programs:
                        print(program.output(), flush=True)
        await client.close()
    return 1 if failures else 0


status = asyncio.run(main(*sys.argv[1:]))
os._exit(status)  # some clients keep threads or tasks that wait for a reconnect
