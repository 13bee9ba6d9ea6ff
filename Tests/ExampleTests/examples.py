"""Runs the examples against a real NATS server and drives them as somebody outside would.

Usage: examples.py PROGRAMS [EXAMPLE…]: the folder of the built programs; only these examples, such as celery.
Prints "ok …" or "not ok …" for each behaviour; exits 1 if one failed.
"""

import asyncio
import contextlib
import hashlib
import html
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request

import centrifuge
import httpx
import httpx_sse
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

    def __init__(self, *command, folder=None, environment=None):
        self.command = [str(part) for part in command]
        self.folder = folder
        self.environment = {**os.environ, **(environment or {})}
        self.log = tempfile.TemporaryFile()
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            self.command, cwd=self.folder, env=self.environment, stdout=self.log, stderr=subprocess.STDOUT)

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


async def task_end(client, name, arguments, **request):
    """Submits a task and follows it to its end; returns all its reports."""
    reports = await client.subscribe("apus.live.task.>")
    task = (await call(client, "tasks.submit", {"name": name, "args": arguments, **request}))["result"]["task_id"]
    seen = []
    async with asyncio.timeout(LIMIT):
        async for message in reports.messages:
            report = json.loads(message.data)
            if report["task_id"] == task:
                seen.append(report)
                if report["status"] in ("completed", "failed", "cancelled"):
                    break
    await reports.unsubscribe()
    for earlier, later in zip(seen, seen[1:]):
        assert (earlier["attempt"], earlier["sequence"]) < (later["attempt"], later["sequence"]), (earlier, later)
        assert earlier["attempt"] < later["attempt"] or earlier["progress"] <= later["progress"], (earlier, later)
    return seen


async def own_worker(client, program):
    async def count(**arguments):
        return (await task_end(client, "words.count", arguments, queue="words", user="42"))

    reports = await count(text="the cat and the dog\nthe end", top=1)
    expect("states", [report["status"] for report in reports if report["status"] != "processing"],
           ["queued", "started", "completed"])
    assert [report for report in reports if report["status"] == "processing"], "no progress was seen"
    expect("result", reports[-1]["result"], {"words": 7, "top": [{"word": "the", "count": 3}]})
    expect("what comes with every worker", (await task_end(client, "apus.noop", {}, queue="words"))[-1]["status"],
           "completed")
    yield "own-worker runs a task of its own with progress and a typed result, and those that come with every worker"

    for arguments, reason in (({"text": "x", "top": 0}, "top must be"), ({"top": 1}, "text is missing"),
                              ({"text": 5}, "text must be of type String")):
        failed = (await count(**arguments))[-1]
        expect("status and attempts", (failed["status"], failed["attempt"]), ("failed", 1))
        assert reason in failed["message"], failed
    yield "own-worker fails wrong arguments at once, with what is wrong"

    admin = re.search(r"admin=(\S+)", program.output())[1]
    metrics = (await asyncio.to_thread(urllib.request.urlopen, f"http://{admin}/metrics")).read().decode()
    assert re.search(r'words_attempt_seconds_count{[^}]*task="words.count"', metrics), metrics
    assert "an attempt has succeeded" in program.output(), "nothing was logged"
    wrong = subprocess.run([*program.command, "--words-minimum-length", "many"], capture_output=True, text=True)
    expect("exit status for a wrong setting", wrong.returncode, 78)
    assert "words.minimum_length" in wrong.stderr, wrong.stderr
    yield "own-worker has its middleware's log and metrics, and settings of its own"

    expect("exit status after SIGTERM", program.stop(), 0)
    yield "own-worker drains on SIGTERM"


async def exec_tasks(client, program):
    with tempfile.NamedTemporaryFile() as file:
        file.write(os.urandom(1_000_000))
        file.flush()
        reports = await task_end(client, "file.checksum", {"path": file.name}, user="42")
        digest = hashlib.sha256(pathlib.Path(file.name).read_bytes()).hexdigest()
    expect("result", reports[-1]["result"], {"sha256": digest, "bytes": 1_000_000})
    assert [report for report in reports if report["status"] == "processing"], "no progress was seen"
    for arguments, reason in (({"path": "/no/such/file"}, "there is no file"), ({}, "path is missing")):
        failed = (await task_end(client, "file.checksum", arguments))[-1]
        expect("status and attempts", (failed["status"], failed["attempt"]), ("failed", 1))
        assert reason in failed["message"], failed
    await scenario.eventually("standard error in the log", lambda: "reading for user 42" in program.output())
    yield "exec-tasks: a program in Python reports progress and a result, and says when another attempt is no use"

    states = [report["status"] for report in await task_end(client, "flaky", {})]
    expect("states", states, ["queued", "started", "retrying", "started", "completed"])
    yield "exec-tasks: any command is a task, tried again after it fails"


async def celery(client, gateway, worker):
    """What one user sees of a Celery application's tasks."""
    scenario.GATEWAY = await gateway_address(gateway)
    ann, bob = await Person("42").connect(), await Person("7").connect()
    await scenario.eventually("Celery's worker", lambda: "ready." in worker.output())

    def submit(**arguments):
        command = worker.command[:worker.command.index("worker")]
        return subprocess.run(
            [*command, "call", "reports.report", "--kwargs", json.dumps({"user": "42", **arguments})], check=True,
            cwd=worker.folder, env=worker.environment, capture_output=True, text=True).stdout.strip()

    async def reports(task):
        seen = []
        while not seen or seen[-1]["status"] not in ("completed", "failed"):
            seen.append(await ann.inbox("user:42").next(lambda message: message.get("task_id") == task))
        for earlier, later in zip(seen, seen[1:]):
            assert (earlier["attempt"], earlier["sequence"]) < (later["attempt"], later["sequence"]), (earlier, later)
            assert earlier["attempt"] < later["attempt"] or earlier["progress"] <= later["progress"], (earlier, later)
        return seen

    seen = await reports(await asyncio.to_thread(submit, pages=4))
    expect("states", [report["status"] for report in seen], ["started"] + 4 * ["processing"] + ["completed"])
    expect("progress", [report["progress"] for report in seen], [0, 25, 50, 75, 100, 100])
    expect("result", seen[-1]["result"], {"pages": 4})
    expect("name", seen[0]["name"], "reports.report")
    seen = await reports(await asyncio.to_thread(submit, pages=1, failures=1))
    expect("states", [report["status"] for report in seen],
           ["started", "processing", "retrying", "started", "processing", "completed"])
    seen = await reports(await asyncio.to_thread(submit, pages=1, failures=9))
    expect("end", (seen[-1]["status"], seen[-1]["attempt"], seen[-1]["message"]), ("failed", 3, "the printer is busy"))
    expect("what somebody else saw", bob.inbox("user:7").messages, [])
    yield "celery: started, progress, retries, result and failure of Celery's tasks arrive on their user's socket"

    page = await asyncio.to_thread(django_page, worker)
    address = html.unescape(re.search(r'new EventSource\("([^"]+)"\)', page)[1])
    seen = []
    async with httpx.AsyncClient(timeout=LIMIT, trust_env=False) as listener:
        async with httpx_sse.aconnect_sse(listener, "GET", address) as source:
            async for event in source.aiter_sse():
                if event.event != "task_status":
                    continue
                seen.append(json.loads(event.data))
                if seen[-1]["status"] in ("completed", "failed"):
                    break
    expect("end", (seen[-1]["status"], seen[-1]["progress"], seen[-1]["result"]), ("completed", 100, {"pages": 20}))
    progress = [report["progress"] for report in seen if report["status"] == "processing"]
    assert len(progress) > 5 and progress == sorted(progress), progress
    yield "celery: the page of a Django view sees the progress of the task that the view began"

    gateway.stop(signal.SIGKILL)
    await asyncio.to_thread(submit, pages=3)
    await scenario.eventually("the end of the task", lambda: worker.output().count("succeeded in") == 4)
    yield "celery: without the gateway tasks go on, and only nobody sees them"


@contextlib.contextmanager
def running(*programs):
    """Programs that are ended, however the test ends; yields them."""
    started = []
    try:
        for command in programs:
            options = command.pop() if isinstance(command[-1], dict) else {}
            started.append(Program(*command, **options))
        yield started
    finally:
        for program in started:
            program.stop(signal.SIGKILL)


DJANGO_SITE = '''
import os, sys
import django
from django.conf import settings
from django.urls import path

settings.configure(
    SECRET_KEY="only-for-trying", ALLOWED_HOSTS=["testserver"], ROOT_URLCONF=__name__,
    APUS_GATEWAY=os.environ["APUS_GATEWAY"], APUS_TOKEN_SECRET=os.environ["APUS_TEST_SECRET"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware", "django.contrib.auth.middleware.AuthenticationMiddleware"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": ["templates"]}])
django.setup()

import views
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

urlpatterns = [path("report", views.report_page)]
call_command("migrate", verbosity=0)
browser = Client()
browser.force_login(User.objects.create_user("ann", id=43))
print(browser.get("/report").content.decode())
'''


def django_page(worker):
    """What a Django site with the example's view answers to somebody who is signed in."""
    environment = {**worker.environment, "PYTHONPATH": f"{worker.environment['PYTHONPATH']}:{worker.folder}"}
    site = subprocess.run(
        [sys.executable, "-B", "-c", DJANGO_SITE], cwd=worker.folder, env=environment, capture_output=True, text=True)
    if site.returncode:
        raise AssertionError(f"the Django site ended with {site.returncode}: {site.stderr[-2000:]}")
    return site.stdout


EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "Examples"


def celery_worker(data):
    """Celery's worker with processes, and a broker that is a folder."""
    folder = pathlib.Path(data) / "celery"
    for part in ("queue", "control"):
        (folder / part).mkdir(parents=True)
    queue = str(folder / "queue")
    (folder / "settings_of_the_test.py").write_text(
        f"broker_url = 'filesystem://'\nbroker_transport_options = {{'data_folder_in': {queue!r}, 'data_folder_out': "
        f"{queue!r}, 'control_folder': {str(folder / 'control')!r}}}\ntask_default_retry_delay = 0\n")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    environment = {
        "CELERY_CONFIG_MODULE": "settings_of_the_test", "PYTHONPATH": str(folder),
        "APUS_GATEWAY": f"http://127.0.0.1:{port}", "APUS_GATEWAY_API_KEY": "only-for-trying", "no_proxy": "*"}
    command = [sys.executable, "-m", "celery", "--app", "reports", "worker", "--pool", "prefork", "--concurrency", "2",
               "--loglevel", "info", "--without-gossip", "--without-mingle"]
    return port, [*command, {"folder": EXAMPLES / "celery", "environment": environment}]


async def main(programs, *only):
    failures = 0
    programs, folder = pathlib.Path(programs).resolve(), EXAMPLES / "any-language"
    gateway = programs / "apus-gateway"
    with nats_server() as url, tempfile.TemporaryDirectory(prefix="apus-chat-") as data:
        port, celery_program = celery_worker(data)
        client = await nats.connect(url)
        with_gateway = [gateway, "--nats-url", url, "--gateway-listen", "127.0.0.1:0", "--config"]
        for test, commands in (
            (own_service, [[programs / "shipments", "--nats-url", url]]),
            (any_language, [[sys.executable, folder / "prices.py", url]]),
            (polls, [[sys.executable, folder / "polls.py", url], with_gateway + [folder / "gateway.yaml"]]),
            (chat, [[programs / "chat", "--nats-url", url, "--chat-database", f"{data}/chat.sqlite"],
                    with_gateway + [EXAMPLES / "chat/chat.yaml"]]),
            (own_worker, [[programs / "words-worker", "--nats-url", url]]),
            (exec_tasks, [[programs / "apus-worker", "--nats-url", url, "--config", "worker.yaml",
                           {"folder": EXAMPLES / "exec-tasks"}]]),
            (celery, [[gateway, "--nats-url", url, "--gateway-listen", f"127.0.0.1:{port}", "--config",
                       EXAMPLES / "celery/gateway.yaml"], celery_program]),
        ):
            if only and test.__name__ not in only:
                continue
            with running(*commands) as started:
                try:
                    async with asyncio.timeout(120):
                        async for behaviour in test(client, *started):
                            print("ok", behaviour, flush=True)
                except Exception as error:
                    failures += 1
                    print(f"not ok {test.__name__}: {type(error).__name__}: {error}", flush=True)
                    for program in started:
                        print(program.output(), flush=True)
        await client.close()
    return 1 if failures else 0


status = asyncio.run(main(*sys.argv[1:]))
os._exit(status)  # some clients keep threads or tasks that wait for a reconnect
