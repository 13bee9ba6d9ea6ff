"""Schedules against a second clock (croniter's), one firing by two workers; chains, groups and dead letters over the bus."""

from datetime import datetime, timezone
from zoneinfo import ZoneInfo

from croniter import croniter

from scenario import *


async def call(bus, method, parameters=None):
    answer = json.loads((await bus.request(f"apus.rpc.{method}", json.dumps(parameters or {}).encode(), timeout=LIMIT)).data)
    if "error" in answer:
        raise RuntimeError(f"{method}: {answer['error']}")
    return answer["result"]


async def follow(bus, subject):
    """All statuses from now on, in a list that grows."""
    seen = []

    async def take(message):
        seen.append((time.time(), json.loads(message.data)))

    await bus.subscribe(subject, cb=take)
    await bus.flush()
    return seen


async def until(what, condition, limit=LIMIT):
    end = time.monotonic() + limit
    while time.monotonic() < end:
        value = await condition()
        if value:
            return value
        await asyncio.sleep(0.05)
    raise AssertionError(f"not in {limit} s: {what}")


async def final(bus, task):
    async def look():
        status = await call(bus, "tasks.get", {"task_id": task})
        return status if status["status"] in ("completed", "failed", "cancelled") else None

    return await until(f"the end of task {task}", look)


async def scenario():
    bus = await backend()
    beats = await follow(bus, "apus.live.user.beat")

    say("the next firing of each schedule, against croniter")
    before = datetime.now(timezone.utc)
    schedules = (await call(bus, "schedules.list"))["schedules"]
    assert len(schedules) >= 20, f"only {len(schedules)} schedules"
    for schedule in schedules:
        zone = ZoneInfo(schedule["timezone"])
        # The list may have been made before or after a full minute.
        wanted = {croniter(schedule["cron"], moment.astimezone(zone)).get_next(datetime).astimezone(timezone.utc)
                  for moment in (before, datetime.now(timezone.utc))}
        found = datetime.fromisoformat(schedule["next"].replace("Z", "+00:00"))
        assert found in wanted, f"{schedule}: croniter says {wanted}"

    say("a chain, a group and its callback")
    chain = await call(bus, "tasks.submit", {
        "name": "add", "args": {"previous": 1}, "user": "42", "chain": [{"name": "add"}, {"name": "add"}]})

    async def last():
        tasks = (await call(bus, "tasks.list", {"user": "42"}))["tasks"]
        return tasks if len(tasks) == 3 and all(task["status"] == "completed" for task in tasks) else None

    expect("the results of the chain", [task["result"] for task in await until("the end of the chain", last)], [4, 3, 2])
    group = await call(bus, "tasks.group", {
        "tasks": [{"name": "add", "args": {"previous": n}} for n in range(50)], "then": {"name": "add.all"}})
    end = await final_of_callback(bus, group["then"])
    expect("the callback's result", end["result"], sum(range(1, 51)))
    chain_of_two = {"name": "add", "args": {"previous": 1}, "chain": [{"name": "add", "delay": "1h"}]}
    group = await call(bus, "tasks.group", {
        "tasks": [{"name": "add", "delay": "1h"}] * 20 + [chain_of_two], "then": {"name": "add.all"}})
    expect("the beginning of a chain", (await final(bus, group["task_ids"][20]))["status"], "completed")
    group = {"group_id": group["group_id"]}
    expect("a cancelled group", await call(bus, "tasks.group.cancel", group), {**group, "cancelled": 21, "remaining": 0})
    status = await call(bus, "tasks.group.get", group)
    expect("its end", (status["status"], status["cancelled"], status["then"]), ("finished", 21, None))
    expect("the first of the chain", (await final(bus, chain["task_id"]))["result"], 2)

    say("a dead letter with its errors, repeated with one call")
    broken = await call(bus, "tasks.submit", {"name": "add", "args": {"previous": "no number"}, "max_attempts": 2})
    expect("its end", (await final(bus, broken["task_id"]))["status"], "failed")
    letters = (await call(bus, "dead.list", {"name": "add"}))["letters"]
    expect("letters", [letter["task_id"] for letter in letters], [broken["task_id"]])
    letter = await call(bus, "dead.show", {"sequence": letters[0]["sequence"]})
    expect("attempts with errors", [error["attempt"] for error in letter["errors"]], [1, 2])
    again = await call(bus, "dead.replay", {"sequence": letters[0]["sequence"]})
    expect("it fails again", (await final(bus, again["task_id"]))["status"], "failed")
    expect("its origin", (await call(bus, "tasks.show", {"task_id": again["task_id"]}))["replay_of"], broken["task_id"])

    say("each full minute one task, and soon, though there are two workers")
    minutes = [int(time.time()) // 60 * 60 + 60 * n for n in (1, 2)]
    await asyncio.sleep(minutes[-1] + 4 - time.time())
    for minute in minutes:
        started = [(at, status) for at, status in beats if status["status"] == "started" and minute <= at < minute + 60]
        expect(f"tasks of the minute {minute}", len(started), 1)
        assert started[0][0] - minute < 2, f"{started[0][0] - minute} s late"


async def final_of_callback(bus, task):
    async def there():
        try:
            return await call(bus, "tasks.get", {"task_id": task})
        except RuntimeError:
            return None

    await until("the callback", there)
    return await final(bus, task)


run(scenario)
