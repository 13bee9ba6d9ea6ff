"""A service in another language, with nothing but a NATS client (PyPI: nats-py).

It answers the call `prices.quote`, handles `inventory.changed` as a durable consumer, and publishes to the channel
`topic:prices`. Start it with: python prices.py nats://127.0.0.1:4222
"""

import asyncio
import json
import signal
import sys

import nats
import nats.micro
from nats.errors import ConnectionClosedError, NoRespondersError, TimeoutError
from nats.js.api import ConsumerConfig
from nats.js.errors import NotFoundError, NoStreamResponseError


async def quote(request):
    """A reply is {"result": …} or {"error": {"code": …, "message": …}}; who asks is in the headers."""
    try:
        quantity = int(json.loads(request.data)["quantity"])
    except (ValueError, KeyError, TypeError):
        reply = {"error": {"code": 400, "message": "quantity must be a whole number"}}
    else:
        user = (request.headers or {}).get("Apus-User")
        reply = {"result": {"price": quantity * 3, "for": user}}
    await request.respond(json.dumps(reply).encode())


async def follow_stock(client):
    """What happens while this program is not running waits for it in the stream."""
    stream = client.jetstream()
    subscription = None
    while subscription is None:
        try:
            subscription = await stream.pull_subscribe(
                "apus.event.inventory.changed", durable="prices", stream="APUS_EVENTS",
                config=ConsumerConfig(ack_wait=30))
        except (NotFoundError, NoRespondersError, TimeoutError):  # the notifier makes the stream when it starts
            await asyncio.sleep(1)
    while not client.is_closed:
        try:
            messages = await subscription.fetch(16, timeout=5)
        except (TimeoutError, ConnectionClosedError):  # nothing came, or this program stops
            continue
        for message in messages:
            try:
                product = json.loads(message.data)
                is_short = product["quantity"] < product["threshold"]
                name = product["product_id"]
            except (ValueError, KeyError, TypeError):
                await message.term()  # it would be as wrong the next time
                continue
            if is_short:
                await tell(client, stream, name, message.metadata.sequence.stream)
            await message.ack()


async def tell(client, stream, product, sequence):
    """Publishes to a channel: this is the whole integration of a backend."""
    payload = json.dumps({"product_id": product, "price": "up"}).encode()
    headers = {"Apus-Event": "price", "Nats-Msg-Id": f"prices-{sequence}"}
    try:
        await stream.publish("apus.channel.topic.prices", payload, headers=headers)  # returns when it is stored
    except NoStreamResponseError:  # no gateway has made the history yet: whoever listens now still gets it
        await client.publish("apus.channel.topic.prices", payload, headers=headers)


async def main(server):
    client = await nats.connect(server, max_reconnect_attempts=-1)
    service = await nats.micro.add_service(client, name="prices", version="1.0.0", description="quotes")
    await service.add_endpoint(name="quote", subject="apus.rpc.prices.quote", handler=quote)
    print("ready", flush=True)

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    following = asyncio.create_task(follow_stock(client))
    await asyncio.wait([following, asyncio.create_task(stop.wait())], return_when=asyncio.FIRST_COMPLETED)
    await service.stop()
    if following.done():
        following.result()  # before the connection is closed it ends only by failing
    await client.drain()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "nats://127.0.0.1:4222"))
