"""Decides about the channels poll:<question>, as any NATS client can: who joins gets the votes so far, and each vote goes
to everybody as a new count. The gateway's namespace says `subscribe: hook, publish: hook` (see gateway.yaml)."""

import asyncio
import json
import sys

import nats

votes = {}  # by channel; in memory, so run one of these, or keep them in a database


async def decide(message):
    try:
        question = json.loads(message.data)
        count = votes.setdefault(question["channel"], {"yes": 0, "no": 0})
        if message.subject.endswith(".subscribe"):
            reply = {"result": {"data": count}}  # goes to the client with the answer to its join
        else:
            count[question["data"]["vote"]] += 1
            reply = {"result": {"data": count, "event": "votes"}}  # instead of what the client sent
    except (ValueError, KeyError, TypeError):
        reply = {"error": {"code": 400, "message": "vote yes or no"}}
    await message.respond(json.dumps(reply).encode())


async def main(server):
    client = await nats.connect(server, max_reconnect_attempts=-1)
    for hook in ("subscribe", "publish"):
        await client.subscribe(f"apus.hook.poll.{hook}", queue="q", cb=decide)
    await client.flush()
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "nats://127.0.0.1:4222"))
