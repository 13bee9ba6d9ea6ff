"""Runs the examples against a real NATS server and drives them as somebody outside would.

Usage: examples.py SHIPMENTS PYTHON PRICES. Prints "ok …" or "not ok …" for each behaviour; exits 1 if one failed.
"""

import asyncio
import contextlib
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

import nats
from nats.errors import NoRespondersError

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


async def main(shipments, python, prices):
    failures = 0
    with nats_server() as url:
        client = await nats.connect(url)
        for test, command in ((own_service, [shipments, "--nats-url", url]), (any_language, [python, prices, url])):
            program = Program(*command)
            try:
                async with asyncio.timeout(120):
                    async for behaviour in test(client, program):
                        print("ok", behaviour, flush=True)
            except Exception as error:
                failures += 1
                print(f"not ok {test.__name__}: {type(error).__name__}: {error}\n{program.output()}", flush=True)
            finally:
                program.stop(signal.SIGKILL)
        await client.close()
    return 1 if failures else 0


sys.exit(asyncio.run(main(*sys.argv[1:])))
