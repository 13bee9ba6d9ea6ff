"""When tasks run: delays through restarts, expiry, soft limits, rates over two workers, bounds, pauses, purges, drain."""

import datetime
import uuid

from scenario import *


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


async def call(bus, method, **parameters):
    """A call of a backend; returns the reply. Services that are being started again answer a little later."""
    async def ask():
        try:
            answer = await bus.request(f"apus.rpc.{method}", json.dumps(parameters).encode(), timeout=5)
        except (nats.errors.NoRespondersError, nats.errors.TimeoutError):
            return None
        reply = json.loads(answer.data)
        return None if "the bus is not available" in reply.get("error", {}).get("message", "") else reply
    return await eventually(f"an answer of {method}", ask)


async def submit(bus, name, **fields):
    reply = await call(bus, "tasks.submit", name=name, **fields)
    return reply["result"]["task_id"]


async def status(bus, task):
    return (await call(bus, "tasks.get", task_id=task)).get("result") or {}


async def ended(bus, task, seconds=LIMIT):
    async def look():
        found = await status(bus, task)
        return found if found.get("status") in ("completed", "failed", "cancelled") else None
    return await eventually(f"the end of task {task}", look, seconds)


async def history(bus, task):
    """All that was told of a task."""
    stream, subject, told = bus.jetstream(), f"apus.channel.task.{task}", []
    info = await stream.stream_info("APUS_CHANNEL_TASK")
    for sequence in range(info.state.first_seq, info.state.last_seq + 1):
        with contextlib.suppress(nats.js.errors.NotFoundError):
            message = await stream.get_msg("APUS_CHANNEL_TASK", sequence)
            if message.subject == subject:
                told.append(json.loads(message.data))
    return told


async def queue(bus, name):
    queues = (await call(bus, "queues.list"))["result"]["queues"]
    return next((found for found in queues if found["name"] == name), None)


async def scenario():
    bus = await backend()

    say("delayed tasks begin at their time, though worker and server are killed meanwhile")
    begun = time.time()
    due = {await submit(bus, "apus.noop", delay=f"{6000 + 700 * step}ms"): begun + 6 + 0.7 * step for step in range(5)}
    late = str(uuid.uuid4())
    await bus.jetstream().publish(
        "apus.task.default.apus.noop", json.dumps({"id": late, "eta": begun + 8}).encode(), timeout=LIMIT)
    due[late] = begun + 8
    never = await submit(bus, "apus.noop", delay=8, expires=7)
    await control("kill", "worker")
    await control("kill", "nats")
    await control("start", "nats")
    await control("start", "worker")
    for task, time_due in due.items():
        found = await ended(bus, task)
        expect("status", found["status"], "completed")
        started = next(moment(told["updated_at"]) for told in await history(bus, task) if told["status"] == "started")
        assert time_due - 0.05 <= started <= time_due + 1.1, f"due {time_due - begun:.2f}, begun {started - begun:.2f}"
    found = await ended(bus, never)
    expect("a task that expired", (found["status"], found["attempt"]), ("failed", 0))
    assert "expired" in found["message"], found
    assert [letter for letter in await dead_letters(bus) if never.encode() in letter[2]], "no dead letter"

    say("a program hears of its soft limit, and may end by itself")
    found = await ended(bus, await submit(bus, "tidy"))
    expect("a program that listens", (found["status"], found["result"]), ("completed", "tidied"))

    say("a rate holds over two workers")
    await control("start", "worker2")
    tasks = [await submit(bus, "limited") for _ in range(25)]
    for task in tasks:
        expect("status", (await ended(bus, task))["status"], "completed")
    starts = []
    for task in tasks:
        starts += [moment(told["updated_at"]) for told in await history(bus, task) if told["status"] == "started"]
    starts.sort()
    expect("starts", len(starts), 25)
    for first in range(len(starts) - 10):
        # Ten intervals of a tenth of a second, of which a slot that is used late can take some.
        assert starts[first + 10] - starts[first] > 0.5, f"too many at once: {[round(s - starts[0], 2) for s in starts]}"
    assert starts[-1] - starts[0] > 1.9, f"faster than the rate: {starts[-1] - starts[0]}"

    say("a paused queue begins nothing in either worker, also after a restart, and refuses what is beyond its bound")
    await call(bus, "queues.pause", queue="bounded")
    await eventually("the pause", lambda: paused(bus))
    fading = await submit(bus, "apus.noop", queue="bounded", expires=2)
    submitted = time.time()
    found = await ended(bus, fading)
    assert found["status"] == "failed" and "expired" in found["message"], found
    assert 2 <= moment(found["updated_at"]) - submitted + 0.1 < 5, f"at {moment(found['updated_at']) - submitted}"
    tasks = [await submit(bus, "apus.noop", queue="bounded") for _ in range(5)]
    reply = await call(bus, "tasks.submit", name="apus.noop", queue="bounded")
    expect("the refusal's code", reply["error"]["code"], 503)
    assert "full" in reply["error"]["message"], reply
    for number in range(3):
        await bus.jetstream().publish(
            "apus.task.bounded.apus.noop", json.dumps({"id": f"beyond-{number}", "user": "42"}).encode(), timeout=LIMIT)
    for number in range(3):
        found = await ended(bus, f"beyond-{number}")
        assert found["status"] == "failed" and "the queue bounded is full" in found["message"], found
        assert [letter for letter in await dead_letters(bus) if f"beyond-{number}".encode() in letter[2]], "no letter"
    expect("what is left of them", (await queue(bus, "bounded"))["depth"], 5)
    await control("kill", "worker")
    await control("start", "worker")
    found = await queue(bus, "bounded")
    expect("the queue", (found["depth"], found["paused"], found["limit"], found["running"]), (5, True, 5, 0))
    assert found["oldest_age_seconds"] > 0, found
    for task in tasks:
        expect("a waiting task", (await status(bus, task))["status"], "queued")
    expect("cancelled", (await call(bus, "tasks.cancel", task_id=tasks[0]))["result"]["status"], "cancelled")
    expect("purged", (await call(bus, "queues.purge", queue="bounded"))["result"], {"purged": 4, "remaining": 0})
    await call(bus, "queues.resume", queue="bounded")
    for task in tasks:
        expect("a purged task", (await status(bus, task))["status"], "cancelled")
    expect("status", (await ended(bus, await submit(bus, "apus.noop", queue="bounded")))["status"], "completed")

    say("a worker that is stopped hands back at once what it cannot finish, and the attempt does not count")
    await control("terminate", "worker2")
    task = await submit(bus, "nap", max_attempts=1)
    await eventually("the nap", lambda: has_begun(bus, task))
    stopped = asyncio.create_task(control("terminate", "worker"))
    await stopped
    await control("start", "worker")
    found = await ended(bus, task)
    expect("status", (found["status"], found["attempt"]), ("completed", 2))

    say("the queues are measured")
    await eventually("the depth", lambda: measured())
    assert await metric("worker", r'apus_task_attempts_total\{task="nap"') >= 1
    assert await metric("worker", r'apus_task_seconds_count\{task="nap"') >= 1


async def paused(bus):
    return ((await queue(bus, "bounded")) or {}).get("paused")


async def has_begun(bus, task):
    return (await status(bus, task)).get("status") in ("started", "processing")


async def measured():
    return 'apus_queue_depth{queue="bounded"}' in await metrics("worker")


run(scenario)
