"""The fault run of the worker: thousands of tasks while workers are killed, stopped past their lease and continued, and
drained, and NATS is killed and started again in the middle. Then the records, every message of the tasks' channels, what
subscribers saw, the dead letters and the queue are compared with what was submitted.

APUS_TEST_SEED repeats the choices of a run; APUS_TEST_TASKS is how many tasks do nothing, and everything else grows with it.
"""

import collections
import datetime
import os
import random

from scenario import *

NOTHING = int(os.environ.get("APUS_TEST_TASKS") or 3000)
SCALE = max(1.0, NOTHING / 3000)
LEASE = 2.0
WORKERS = ["worker", "worker2", "worker3"]
USERS = [f"u{number}" for number in range(6)]
FINAL = ("completed", "failed", "cancelled")

#: One line per attempt that really ran, then progress, then a result that names the attempt.
STEPS = """
echo "$APUS_TASK_ID $APUS_ATTEMPT" >> ran.log
for step in 1 2 3 4 5 6 7 8; do
    echo "{\\"progress\\": ${step}0, \\"message\\": \\"step $step\\"}"
    sleep "${1:-0.1}"
done
echo "{\\"result\\": {\\"attempt\\": $APUS_ATTEMPT}}"
"""
FLAKY = """
if [ "$APUS_ATTEMPT" = 1 ]; then echo "not the first time" >&2; exit 1; fi
echo '{"result": "the second time"}'
"""
DOOMED = """
echo '{"error": "never", "retry": false}'
"""


class Tasks:
    """What was submitted, and what must become of it."""

    def __init__(self, bus, order):
        self.bus, self.order = bus, order
        self.expected = {}  # id: a set of final states
        self.users = {}
        self.names = {}
        self.malformed = 0
        #: Cancelled before their time had come, so that they must never have run.
        self.never_run = set()

    def add(self, kind, name, states=("completed",), **fields):
        task = f"{kind}-{len(self.expected)}"
        self.expected[task], self.users[task], self.names[task] = set(states), self.order.choice(USERS), name
        return task, {"id": task, "name": name, "user": self.users[task], "max_attempts": 50, **fields}

    async def publish(self, task):
        """Stores the task in its queue, however long it takes: the same id makes another attempt harmless."""
        subject, headers = f"apus.task.default.{task['name']}", {"Nats-Msg-Id": task["id"]}
        await self.persist(lambda: self.bus.jetstream(timeout=2).publish(subject, json.dumps(task).encode(), headers=headers))

    async def submit(self, task):
        """By RPC, as a backend."""
        async def call():
            answer = await ask(self.bus, "tasks.submit", task)
            if "error" in answer:
                raise RuntimeError(answer["error"])
            expect("the submitted task's id", answer["result"]["task_id"], task["id"])

        await self.persist(call)

    async def cancel(self, task):
        """Cancels until somebody has answered. Returns the states in which the task may end: one that was asked for before
        and not answered may still be carried out, by a worker that was stopped and goes on."""
        calls = 0

        async def call():
            nonlocal calls
            calls += 1
            answer = await ask(self.bus, "tasks.cancel", {"task_id": task})
            if "error" in answer and answer["error"]["code"] not in (404, 409):
                raise RuntimeError(answer["error"])
            return answer

        answer = await self.persist(call)
        if answer.get("result", {}).get("status") == "cancelled":
            return {"cancelled"}
        return self.expected[task] | ({"cancelled"} if calls > 1 else set())

    @staticmethod
    async def persist(call):
        while True:
            try:
                return await call()
            except AssertionError:
                raise
            except Exception:  # nobody is there, or the answer was lost
                await asyncio.sleep(0.1)


async def ask(bus, method, parameters):
    return json.loads((await bus.request(f"apus.rpc.{method}", json.dumps(parameters).encode(), timeout=3)).data)


async def submit_all(tasks, count):
    """All kinds of tasks, mixed, by both doors."""
    order = tasks.order
    kinds = (
        ["nothing"] * NOTHING + ["steps"] * int(90 * SCALE) + ["long"] * int(4 * SCALE) + ["flaky"] * int(30 * SCALE)
        + ["doomed"] * int(30 * SCALE) + ["unknown"] * int(30 * SCALE) + ["malformed"] * int(20 * SCALE)
        + ["cancelled"] * int(40 * SCALE) + ["delayed"] * int(20 * SCALE) + ["later"] * int(20 * SCALE)
    )
    order.shuffle(kinds)
    cancels = []

    def at(seconds):
        moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
        return moment.isoformat().replace("+00:00", "Z")

    async def cancel_later(task, after):
        await asyncio.sleep(after)
        tasks.expected[task] = await tasks.cancel(task)

    async def one(kind):
        door = tasks.submit if order.random() < 0.3 else tasks.publish
        if kind == "nothing":
            await door(tasks.add(kind, "apus.noop")[1])
        elif kind in ("steps", "long", "flaky"):
            await door(tasks.add(kind, kind)[1])
        elif kind == "doomed":
            await door(tasks.add(kind, kind, ["failed"])[1])
        elif kind == "unknown":
            await door(tasks.add(kind, f"nobody.knows{order.randrange(3)}", ["failed"])[1])
        elif kind == "malformed":
            tasks.malformed += 1
            number, payload = tasks.malformed, order.choice([b"{", b"[]", b'{"name": 5}', b'{"max_attempts": "many"}'])
            await tasks.persist(lambda: tasks.bus.jetstream(timeout=2).publish(
                "apus.task.default.malformed", payload, headers={"Nats-Msg-Id": f"malformed-{number}"}))
        elif kind == "cancelled":
            task, request = tasks.add(kind, order.choice(["steps", "apus.noop"]), ["completed"])
            await door(request)
            cancels.append(asyncio.create_task(cancel_later(task, order.uniform(0, 3))))
        elif kind == "later":
            await door(tasks.add(kind, order.choice(["steps", "apus.noop"]), eta=at(order.uniform(1, 6)))[1])
        elif kind == "delayed":
            # Far enough in the future that the cancel comes first, whatever is killed meanwhile.
            task, request = tasks.add(kind, "steps", ["cancelled"], eta=at(3600))
            await tasks.submit(request)
            tasks.never_run.add(task)
            cancels.append(asyncio.create_task(cancel_later(task, order.uniform(0, 5))))

    waiting = asyncio.Queue()
    for kind in kinds:
        waiting.put_nowait(kind)

    async def submitter():
        while not waiting.empty():
            await one(waiting.get_nowait())

    await asyncio.gather(*[submitter() for _ in range(count)])
    await asyncio.gather(*cancels)
    say(f"{len(tasks.expected)} tasks and {tasks.malformed} malformed ones are submitted")


class Chaos:
    """What happens to the workers, one thing after the other."""

    def __init__(self, order):
        self.order, self.done = order, collections.Counter()
        self.frozen = {}

    async def run(self, is_over):
        while not is_over():
            for name, until in list(self.frozen.items()):
                if time.monotonic() > until:
                    await self.thaw(name)
            name = self.order.choice(WORKERS)
            if name not in self.frozen:
                verb = self.order.choice(["kill", "kill", "freeze", "terminate"])
                self.done[verb] += 1
                said = await control(verb, name)
                if verb == "freeze":
                    self.frozen[name] = time.monotonic() + LEASE * self.order.uniform(1.2, 2.5)
                else:
                    if verb == "terminate":
                        expect(f"{name} after SIGTERM", said, "exit status 0")
                    await asyncio.sleep(self.order.uniform(0, 0.5))
                    await control("start", name)
            await asyncio.sleep(self.order.uniform(0.1, 0.8))
        for name in list(self.frozen):
            await self.thaw(name)

    async def thaw(self, name):
        await control("thaw", name)
        del self.frozen[name]

    async def restart_nats(self):
        self.done["nats"] += 1
        await control("kill", "nats")
        await asyncio.sleep(self.order.uniform(0, 1))
        await control("start", "nats")


async def records(bus):
    """Every task's record in the bucket, by id."""
    found = {}
    for subject, payload in await everything(bus, "KV_APUS_TASKS", "$KV.APUS_TASKS.task.>", last=True):
        found[subject.split(".", 4)[4]] = json.loads(payload)
    return found


async def everything(bus, stream, subject, last=False):
    """All messages of a stream on a subject, or the last of each subject, each behind those it has overtaken, as gateways
    give them: [(subject, payload)]."""
    policy = nats.js.api.DeliverPolicy.LAST_PER_SUBJECT if last else nats.js.api.DeliverPolicy.ALL
    reader = await bus.jetstream().subscribe(
        subject, stream=stream, ordered_consumer=True, config=nats.js.api.ConsumerConfig(deliver_policy=policy))
    messages, last_sequence = [], 0
    with contextlib.suppress(nats.js.errors.NotFoundError):
        last_sequence = (await bus.jetstream().get_last_msg(stream, subject)).seq
    # How many are pending, as each message says it, is not to be relied on once the server was killed.
    try:
        read = 0
        while read < last_sequence:
            message = await reader.next_msg(timeout=LIMIT)
            overtaken = json.loads((message.headers or {}).get("Apus-Overtaken", "[]"))
            for changes in overtaken:
                earlier = {**json.loads(message.data), **changes}
                messages.append((message.subject, json.dumps(earlier).encode()))
            messages.append((message.subject, message.data))
            read = message.metadata.sequence.stream
    finally:
        await reader.unsubscribe()
    return messages


async def left_over(bus):
    """What is in the queue: [(sequence, id)]. The server's own count may be wrong once it was killed."""
    stream, left = bus.jetstream(), []
    state = (await stream.stream_info("APUS_TASKS")).state
    if state.messages:
        for sequence in range(state.first_seq, state.last_seq + 1):
            with contextlib.suppress(nats.js.errors.NotFoundError):
                message = await stream.get_msg("APUS_TASKS", sequence)
                left.append((sequence, (message.headers or {}).get("Nats-Msg-Id")))
    return left


def check_order(who, statuses):
    """What somebody saw of tasks, in order: only forwards, and nothing after the end. Returns the last of each."""
    last = {}
    for status in statuses:
        task, version = status["task_id"], (status["attempt"], status["sequence"])
        before = last.get(task)
        if before:
            assert (before["attempt"], before["sequence"]) < version, f"{who}: {status} after {before}"
            assert before["status"] not in FINAL, f"{who}: {status} after {before}"
            if before["attempt"] == status["attempt"] and status["status"] == "processing":
                assert before["progress"] <= status["progress"], f"{who}: {status} after {before}"
        last[task] = status
    return last


async def check_takeover(bus):
    """Kills the worker that runs a task, and measures how long it takes another to begin again. Returns milliseconds."""
    seen = asyncio.Queue()
    task = f"takeover-{random.randrange(1 << 40)}"
    listening = await bus.subscribe(f"apus.live.task.{task}", cb=seen.put)
    holders = {}
    for name in WORKERS[:2]:
        holders[name] = await metric(name, r"^apus_tasks_running\b")
    await bus.jetstream().publish(
        "apus.task.default.long", json.dumps({"id": task, "name": "long", "user": "taken", "max_attempts": 9}).encode())

    async def begun(attempt):
        while True:
            status = json.loads((await asyncio.wait_for(seen.get(), LIMIT)).data)
            if status["status"] == "started" and status["attempt"] == attempt:
                return

    await begun(1)

    async def holder():
        for name in WORKERS[:2]:
            if await metric(name, r"^apus_tasks_running\b") > holders[name]:
                return name
        return None

    name = await eventually("one worker says that it runs the task", holder)
    await asyncio.sleep(random.uniform(0, LEASE))
    await control("kill", name)
    start = time.monotonic()
    await begun(2)
    milliseconds = (time.monotonic() - start) * 1000
    await control("start", name)
    await listening.unsubscribe()
    await Tasks.persist(lambda: ask(bus, "tasks.cancel", {"task_id": task}))
    return milliseconds


async def scenario():
    seed = int(os.environ.get("APUS_TEST_SEED") or random.randrange(1_000_000))
    say(f"seed {seed}, {NOTHING} tasks that do nothing")
    order = random.Random(seed)
    random.seed(seed)
    for name, text in (("steps.sh", STEPS), ("flaky.sh", FLAKY), ("doomed.sh", DOOMED)):
        with open(os.path.join(FOLDER, name), "w") as file:
            file.write(text)
    start = time.monotonic()
    bus = await backend()
    people = [await Person(user).connect() for user in USERS]
    await control("start", "worker2")
    for name in WORKERS[:2]:
        await control("ready", name)

    say("a worker is killed in the middle of a task")
    taken = await check_takeover(bus)
    say(f"another attempt began after {taken:.0f} ms; the lease is {LEASE * 1000:.0f} ms")
    assert taken < LEASE * 1000 + 1000, f"the takeover took {taken:.0f} ms"
    await control("start", "worker3")

    tasks = Tasks(bus, random.Random(seed + 1))
    live = []

    async def heard(message):
        live.append(json.loads(message.data))

    await bus.subscribe("apus.live.task.>", cb=heard)
    chaos = Chaos(order)
    submitting = asyncio.create_task(submit_all(tasks, 24))
    ended = set()

    def over():
        for status in live[over.looked:]:
            if status["status"] in FINAL:
                ended.add(status["task_id"])
        over.looked = len(live)
        if submitting.done() and submitting.exception():
            raise submitting.exception()
        return submitting.done() and len(ended & tasks.expected.keys()) >= len(tasks.expected) * (0.95 if over.nats else 0.5)

    over.looked, over.nats = 0, False
    say("workers are killed, stopped and drained")
    await chaos.run(over)
    say(f"after {time.monotonic() - start:.0f} s NATS is killed too: {len(ended)} tasks are over")
    await chaos.restart_nats()
    over.nats = True
    await chaos.run(over)
    say(f"after {time.monotonic() - start:.0f} s that is enough: {dict(chaos.done)}, {len(ended)} tasks are over")
    await submitting

    async def unfinished():
        found = await Tasks.persist(lambda: records(bus))
        return {task: found.get(task, {}).get("status") for task in tasks.expected
                if found.get(task, {}).get("status") not in FINAL}

    try:
        async def all_over():
            await asyncio.sleep(0.5)
            return not await unfinished()
        await eventually("every task is over", all_over, 60 * SCALE)
    except TimeoutError as error:
        left, consumer = await left_over(bus), await bus.jetstream().consumer_info("APUS_TASKS", "worker-default")
        raise TimeoutError(
            f"{error}; not over: {await unfinished()}; in the queue: {left}; the consumer has {consumer}") from None

    async def is_empty():
        return not await left_over(bus)

    try:
        await eventually("the queue is empty", is_empty, LIMIT)
    except TimeoutError as error:
        found = await records(bus)
        left = [(sequence, task, found.get(task, {}).get("status")) for sequence, task in await left_over(bus)]
        consumer = await bus.jetstream().consumer_info("APUS_TASKS", "worker-default")
        raise TimeoutError(f"{error}: {left[:20]} of {len(left)}; the consumer has {consumer}") from None
    say(f"after {time.monotonic() - start:.0f} s every task is over and the queue empty")

    say("the records say what was to be, and the channels say what the records say, once")
    # A reader of a bucket that is still written, by what sweeps up, may end early.
    async def whole():
        found = await records(bus)
        return found if tasks.expected.keys() <= found.keys() else None
    found = await eventually("a record of every task", whole)
    for task, states in tasks.expected.items():
        assert found[task]["status"] in states, f"{task} should be {states}: {found[task]}"
    told = collections.defaultdict(list)
    for subject, payload in await everything(bus, "APUS_CHANNEL_TASK", "apus.channel.task.>"):
        told[subject.removeprefix("apus.channel.task.")].append(json.loads(payload))
    for task in tasks.expected:
        statuses, record = told[task], found[task]
        last = check_order(f"the channel of {task}", statuses)[task]
        expect(f"the end of {task}, of {statuses}", {key: last[key] for key in last}, {key: record.get(key) for key in last})
        expect(f"the ends of {task}", sum(status["status"] in FINAL for status in statuses), 1)
        expect(f"the beginning of {task}", statuses[0]["status"], "queued")
        if record["status"] == "completed":
            assert any(s["status"] == "started" and s["attempt"] == last["attempt"] for s in statuses), statuses
            if record["name"] in ("steps", "long"):
                expect(f"the result of {task}", record["result"], {"attempt": record["attempt"]})

    say("cancelled tasks did not run")
    with open(os.path.join(FOLDER, "ran.log")) as file:
        ran = collections.Counter(line.split()[0] for line in file)
    expect("tasks that ran though they were cancelled before their time", sorted(tasks.never_run & ran.keys()), [])
    cancelled = [task for task in tasks.expected if found[task]["status"] == "cancelled"]
    for task in cancelled:
        if not any(status["status"] == "started" for status in told[task]):
            expect(f"attempts of {task}, which was cancelled while it waited", ran[task], 0)

    say("subscribers saw everything once, and nothing go backwards")
    check_order("the bus", live)
    for person in people:
        def statuses():
            return [m for m in person.inbox(f"user:{person.user}").messages if m.get("type") == "task_status"]
        mine = {task for task, user in tasks.users.items() if user == person.user}
        missing = lambda: mine - {m["task_id"] for m in statuses() if m["status"] in FINAL}
        # The history of a user's channel keeps 50: who missed more while NATS was away was told so.
        was_told = lambda: any(
            said.was_recovering and not said.recovered for said in person.server_side.get(f"user:{person.user}", []))
        try:
            await eventually("all ends", lambda: not missing() or was_told(), LIMIT)
        except TimeoutError:
            raise AssertionError(
                f"{person.user} did not see the end of {sorted(missing())[:20]} and was not told: "
                f"{person.disconnects}, {person.errors}") from None
        last = check_order(person.user, statuses())
        for task in mine & last.keys():
            if last[task]["status"] in FINAL or not was_told():
                expect(f"the end of {task} for {person.user}", last[task]["status"], found[task]["status"])

    say("dead letters are complete")
    letters = collections.Counter()
    malformed = set()
    for subject, headers, payload in await dead_letters(bus):
        if subject == "apus.dead.task.malformed":
            malformed.add(headers.get("Apus-Message-Id"))
            continue
        letters[json.loads(payload)["id"]] += 1
        assert headers["Apus-Reason"] and int(headers["Apus-Attempts"]) > 0, headers
    expect("malformed tasks among the dead letters", len(malformed), tasks.malformed)
    failed = {task for task in tasks.expected if found[task]["status"] == "failed"}
    expect("dead letters", sorted(letters.keys()), sorted(failed))
    expect("dead letters that are there twice", {task for task, count in letters.items() if count > 1}, set())

    attempts = collections.Counter(record["attempt"] for record in found.values())
    say(f"attempts of the tasks: {dict(sorted(attempts.items()))}; {len(cancelled)} cancelled, {len(failed)} failed; "
        f"all in {time.monotonic() - start:.0f} s")


run(scenario)
