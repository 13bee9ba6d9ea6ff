"""Queues and tasks as an operator looks after them: the built tool on a running worker."""

import datetime
import subprocess

from operator_tool import apus, values
from scenario import *


async def scenario():
    say("a paused queue begins nothing, over all workers; what waits is seen, purged and resumed")
    apus("queue", "pause", "default")
    waiting = [apus("task", "run", "apus.noop", "--user", "42", "--detach").strip() for _ in range(3)]

    def queue():
        return next(queue for queue in values("queue", "list") if queue["name"] == "default")

    await eventually("three that wait", lambda: queue()["depth"] + queue()["delayed"] >= 3)
    expect("paused", queue()["paused"], True)
    assert "paused" in apus("queue", "list")
    expect("states", {values("task", "show", task)[0]["status"] for task in waiting}, {"queued"})
    assert "--yes" in apus("queue", "purge", "default", status=64)
    assert "3 tasks of queue default" in apus("queue", "purge", "default", "--yes")
    expect("states", {values("task", "show", task)[0]["status"] for task in waiting}, {"cancelled"})
    kept = apus("task", "run", "apus.noop", "--detach").strip()
    apus("queue", "resume", "default")
    await eventually("the one that came since", lambda: values("task", "show", kept)[0]["status"] == "completed")
    assert "did you mean default?" in apus("queue", "pause", "defualt", status=1)

    say("a delayed task is cancelled, and cannot be cancelled twice as anything else")
    later = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)).isoformat()
    delayed = (await rpc("tasks.submit", {"name": "apus.noop", "eta": later}, token("42")))[1]["result"]["task_id"]
    apus("task", "cancel", delayed)
    expect("status", values("task", "show", delayed)[0]["status"], "cancelled")
    assert "there is no task nobody" in apus("task", "cancel", "nobody", status=1)

    say("tail prints what becomes of tasks, and ends with the one that is named")
    tail = subprocess.Popen(
        [COMMAND, "task", "tail", "--user", "7", "--status", "completed", "--count", "2", "--json", "--nats-url", NATS],
        stdout=subprocess.PIPE, text=True)
    ended = asyncio.create_task(asyncio.to_thread(tail.communicate, timeout=60))
    while not ended.done():  # it may not listen yet
        await asyncio.to_thread(apus, "task", "run", "apus.noop", "--user", "7")
        await asyncio.to_thread(apus, "task", "run", "apus.noop", "--user", "8")
    seen = [json.loads(line) for line in ended.result()[0].splitlines()]
    expect("of user 7", [(report["user"], report["status"]) for report in seen], [("7", "completed")] * 2)
    assert "completed" in apus("task", "tail", kept)


run(scenario)
