"""Each service is killed and started again, in any order; the others carry on, and nothing published meanwhile is lost.

APUS_TEST_SEED repeats a run.
"""

import os
import random
import subprocess

from scenario import *

SERVICES = ["gateway", "notifier", "worker", "livesync"]


class Flows:
    """Sends through the three flows and knows what must have come."""

    def __init__(self, bus, ann):
        self.bus, self.ann = bus, ann
        self.orders, self.tasks, self.rows = [], [], []
        #: Orders that may have been in a notifier's hands when it was killed.
        self.cut_off = set()
        self.next = 1

    async def kill(self, service):
        if service == "notifier":
            # The next one too: the server may not know yet that nobody takes it.
            self.cut_off |= {*self.orders, self.next} - set(self.arrived()[0])
        return await control("kill", service)

    async def send(self, count):
        """Some orders, tasks and rows, each by the door that is open while services are away: the bus and the file."""
        numbers = range(self.next, self.next + count)
        self.next += count
        for number in numbers:
            await publish_event(self.bus, "order.status_changed", {"order_id": number, "user_id": "42", "status": "packed"})
            self.orders.append(number)
            task = f"restart-task-{number}"
            await self.bus.jetstream().publish(
                "apus.task.default.apus.noop",
                json.dumps({"id": task, "name": "apus.noop", "args": {}, "user": "42", "max_attempts": 5}).encode(),
                timeout=LIMIT)
            self.tasks.append(task)
            done = subprocess.run(
                ["sqlite3", "-cmd", ".timeout 10000", DATABASE, f"INSERT INTO posts (id, title) VALUES ({1000 + number}, 'row');"],
                capture_output=True, text=True, timeout=LIMIT)
            expect("sqlite3", (done.returncode, done.stderr), (0, ""))
            self.rows.append(1000 + number)

    def arrived(self):
        user, table = self.ann.inbox("user:42").messages, self.ann.inbox("table:main.posts").messages
        return (
            [m["order_id"] for m in user if m.get("type") == "order_update"],
            [m["task_id"] for m in user
             if m.get("type") == "task_status" and m["status"] == "completed" and m["name"] == "apus.noop"],
            [m["key"]["id"] for m in table if m["action"] == "created"],
        )

    async def complete(self):
        """Everything came: orders once each, rows once and in order, each task to its end once.

        An order whose notifier was killed in the middle of it comes when its lease is over, after those that followed it.
        """
        def everything():
            orders, tasks, rows = self.arrived()
            return set(orders) >= set(self.orders) and set(tasks) >= set(self.tasks) and set(rows) >= set(self.rows)

        try:
            await eventually("everything that was sent", everything, 60)
        except TimeoutError as error:
            orders, tasks, rows = self.arrived()
            raise TimeoutError(
                f"{error}: missing orders {sorted(set(self.orders) - set(orders))}, tasks "
                f"{sorted(set(self.tasks) - set(tasks))}, rows {sorted(set(self.rows) - set(rows))}") from None
        orders, tasks, rows = self.arrived()
        expect("orders", sorted(orders), self.orders)
        kept = [order for order in orders if order not in self.cut_off]
        expect("orders that no kill cut off, in order", kept, sorted(kept))
        expect("tasks", sorted(tasks), sorted(self.tasks))
        expect("rows", rows, self.rows)


async def scenario():
    seed = int(os.environ.get("APUS_TEST_SEED") or random.randrange(1_000_000))
    say(f"seed {seed}")
    order = random.Random(seed)
    bus = await backend()
    ann = await Person("42").connect()
    await ann.subscribe("table:main.posts", recoverable=True, positioned=True)
    flows = Flows(bus, ann)
    await flows.send(3)
    await flows.complete()

    for service in order.sample(SERVICES, 4):
        say(f"{service} is killed; the others carry on")
        expect("exit", await flows.kill(service), "signal 9")
        await flows.send(5)
        if service == "worker":
            expect("a row and a notification meanwhile", True, bool(await eventually(
                "rows and notifications without the worker",
                lambda: (sorted(flows.arrived()[0]), flows.arrived()[2]) == (flows.orders, flows.rows))))
        if service == "notifier":
            await eventually("tasks and rows without the notifier",
                             lambda: set(flows.arrived()[1]) == set(flows.tasks) and flows.arrived()[2] == flows.rows)
        if service == "livesync":
            await eventually("tasks and notifications without live sync",
                             lambda: set(flows.arrived()[1]) == set(flows.tasks) and sorted(flows.arrived()[0]) == flows.orders)
        await control("start", service)
        await flows.complete()

    say("a worker that is killed in the middle of a task: another attempt brings it to its end")
    path = os.path.join(FOLDER, "large.csv")
    with open(path, "w") as file:
        file.write("id,value\n")
        for start in range(0, 1_000_000, 10_000):
            file.write("".join(f"{i},{i * 7 % 1013}\n" for i in range(start, start + 10_000)))
    answer = await ann.client.rpc("tasks.submit", {"name": "dataset.summarize", "args": {"path": path}, "max_attempts": 5})
    task = answer.data["task_id"]
    statuses = ann.inbox("user:42")
    await statuses.next(lambda m: m.get("task_id") == task and m["status"] == "processing" and m["progress"] > 0)
    await control("kill", "worker")
    await control("start", "worker")
    last = await statuses.next(lambda m: m.get("task_id") == task and m["status"] in ("completed", "failed"), 120)
    expect("status", last["status"], "completed")
    expect("rows", last["result"]["rows"], 1_000_000)
    assert last["attempt"] > 1, f"it was not interrupted: {last['attempt']}"
    states = [(m["attempt"], m["sequence"]) for m in statuses.messages if m.get("task_id") == task]
    expect("attempt and sequence only grow", states, sorted(set(states)))

    say("all are killed, and started again in another order")
    for service in order.sample(SERVICES, 4):
        await flows.kill(service)
        await flows.send(1)
    await flows.send(3)
    for service in order.sample(SERVICES, 4):
        await control("start", service)
        await flows.send(1)
    await flows.complete()

    say("NATS is killed and started again under all of them")
    await control("kill", "nats")
    row = 1000 + flows.next
    flows.next += 1
    subprocess.run(["sqlite3", "-cmd", ".timeout 10000", DATABASE, f"INSERT INTO posts (id, title) VALUES ({row}, 'row');"], check=True)
    flows.rows.append(row)
    await control("start", "nats")
    await eventually("the backend is back", lambda: bus.is_connected)
    for service in SERVICES:
        await control("ready", service)
    await flows.send(5)
    await flows.complete()

    say("all end cleanly when they are asked to")
    for service in order.sample(SERVICES, 4):
        expect(f"{service} after SIGTERM", await control("terminate", service), "exit status 0")


run(scenario)
