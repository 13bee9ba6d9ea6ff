"""Task workers side by side: Apus on JetStream, Celery's prefork worker on Redis. Each has one worker with eight places."""

import json
import os
import shutil
import socket
import time
from pathlib import Path
from statistics import median

from bus import Bus, message
from programs import Broken, Missing, Program, free_ports
from systems import PEERS, FastAPI, System, version_of

PLACES = 8


class TaskWorker(System):
    """A broker and a worker, which is started when there is something to do. Neither is pinned to a core."""

    def __enter__(self):
        self.worker = None
        self.start()
        return self

    def run(self, command, environment=None):
        log = self.folder / f"{len(list(self.folder.glob('*.log')))}-{Path(str(command[0])).name}.log"
        return Program(command, log, None, environment)

    def stop_worker(self):
        if self.worker:
            self.worker.stop()
            self.worker = None

    def __exit__(self, *_):
        self.stop_worker()
        super().__exit__()

    def cpu(self):
        return self.worker.cpu() if self.worker else 0.0


class ApusWorker(TaskWorker):
    name, label = "apus", "Apus"
    program = None  # path, set once

    @classmethod
    def version(cls):
        if not cls.program:
            raise Missing("apus-worker: built by scripts/run-benchmarks.sh")
        return version_of([cls.program, "--version"], r"(\d\S*)")

    def __init__(self, folder, user=None):
        super().__init__(folder)
        self.user = user
        self.sent = 0

    def start(self):
        (self.port,) = free_ports(1)
        self.other = self.run(["nats-server", "-a", "127.0.0.1", "-p", self.port, "-js", "-sd", self.folder / "streams"])
        self.other.wait_for_port(self.port)
        self.configuration = self.folder / "apus.yaml"
        self.configuration.write_text(f"worker: {{ queues: {{ default: {PLACES} }} }}\n")
        # Makes the streams.
        self.start_worker()
        self.stop_worker()
        self.bus = Bus(self.port)

    def start_worker(self):
        (admin,) = free_ports(1)
        self.worker = self.run(
            [
                self.program, "--config", self.configuration, "--nats-url", f"nats://127.0.0.1:{self.port}",
                "--admin-listen", f"127.0.0.1:{admin}", "--log-level", "warning",
            ]
        )  # fmt: skip
        self.worker.wait_for_answer(f"http://127.0.0.1:{admin}/ready")

    def request(self, **arguments):
        self.sent += 1
        request = {"id": f"bench-{self.sent}", "name": "apus.noop", "args": arguments}
        return json.dumps({**request, "user": self.user} if self.user else request).encode()

    def submit(self, count, **arguments):
        self.bus.publish_all([message("apus.task.default.apus.noop", self.request(**arguments)) for _ in range(count)])

    def left(self):
        return self.bus.stored("APUS_TASKS")

    def reports(self, tasks):
        """How many reports a second so many tasks make at once, by their own clocks."""
        each, done = 1_000_000, []
        with Bus(self.port) as listener:
            listener.subscribe("apus.live.task.>")
            self.submit(tasks, reports=each)
            while len(done) < tasks:
                status = json.loads(listener.next()[1])
                if status["status"] in ("completed", "failed"):
                    done.append(status["result"])
        return tasks * each / (max(each["ended"] for each in done) - min(each["begun"] for each in done))

    def latencies(self, count, pause):
        """Seconds from publishing a task to the arrival of `started` at somebody who listens."""
        found = []
        with Bus(self.port) as listener:
            listener.subscribe("apus.live.task.>")
            for _ in range(count):
                request = self.request()
                start = time.perf_counter()
                self.bus.publish("apus.task.default.apus.noop", request)
                completed = started = False
                while not completed:
                    _, payload = listener.next()
                    if b'"started"' in payload and not started:
                        found.append(time.perf_counter() - start)
                        started = True
                    completed = b'"completed"' in payload
                time.sleep(pause)
        return found


class CeleryWorker(TaskWorker):
    name, label = "celery", "Celery, prefork, on Redis"

    @classmethod
    def version(cls):
        if not shutil.which("redis-server"):
            raise Missing("Celery: apt-get install redis-server")
        python = FastAPI.environment / "bin/python"
        if not (FastAPI.environment / "bin/celery").exists():
            raise Missing("Celery: make bench-peers")
        return version_of([python, "-c", "import celery; print('v' + celery.__version__)"], r"v(.+)")

    def __init__(self, folder, late=False):
        super().__init__(folder)
        self.late = late
        self.submitted = 0

    def start(self):
        (self.port,) = free_ports(1)
        self.other = self.run(["redis-server", "--bind", "127.0.0.1", "--port", self.port, "--save", "", "--dir", self.folder])
        self.other.wait_for_port(self.port)
        self.environment = {
            "APUS_BENCH_BROKER": f"redis://127.0.0.1:{self.port}/0", "APUS_BENCH_RESULTS": f"redis://127.0.0.1:{self.port}/1",
            "APUS_BENCH_LATE": str(int(self.late)), "PYTHONDONTWRITEBYTECODE": "1",
        }  # fmt: skip
        self.results = Redis(self.port)
        self.results.ask("SELECT", 1)

    def start_worker(self):
        self.worker = self.run(
            [
                FastAPI.environment / "bin/python", "-m", "celery", "--workdir", PEERS, "-A", "celery_app", "worker", "-P", "prefork",
                "-c", PLACES, "--loglevel", "WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat",
            ],
            self.environment,
        )  # fmt: skip

    def client(self, *words):
        """Runs the submitting side; Celery's own client, at its own speed."""
        process = self.run([FastAPI.environment / "bin/python", PEERS / "celery_client.py", *words], self.environment)
        try:
            if process.process.wait(600) != 0:
                raise Broken(f"celery_client.py: {process.log.read_text()[-1000:]}")
        finally:
            process.stop()
        return process.log.read_text()

    def submit(self, count):
        self.client("submit", count)
        self.submitted += count

    def left(self):
        """There is a result for all that is done, and where it is tracked for the few that have begun."""
        return self.submitted - self.results.ask("DBSIZE")

    def reports(self, tasks):
        return float(self.client("reports", tasks, 500).splitlines()[-1])

    def latencies(self, count, pause):
        """Seconds from submitting to the beginning, by the task's own clock: nobody needs to be told."""
        return json.loads(self.client("latency", count, pause).splitlines()[-1])


class Redis:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.file = self.socket.makefile("rb")

    def ask(self, *words):
        parts = [str(word).encode() for word in words]
        self.socket.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
        line = self.file.readline().strip()
        if line.startswith(b"-"):
            raise Broken(f"Redis says {line.decode()}")
        return int(line[1:]) if line.startswith(b":") else line


def drain(system, count):
    """Queues so many tasks, then starts the worker: tasks a second, once it has done the first tenth."""
    system.submit(count)
    if system.left() < count:
        raise Broken(f"only {system.left()} of {count} tasks are queued")
    system.start_worker()
    end, first, before = time.monotonic() + 600, None, None
    while True:
        left = system.left()
        now = time.monotonic()
        if first is None and left <= count * 0.9:
            first, before = (now, left), (system.cpu(), system.other_cpu())
        if left == 0:
            break
        if now > end:
            raise Broken(f"{left} of {count} tasks are not done after ten minutes")
        time.sleep(0.02)
    after = (system.cpu(), system.other_cpu())
    system.stop_worker()
    done = first[1]
    if not done:
        raise Broken("too few tasks to be measured")
    return {
        "rate": done / (now - first[0]),
        "cpu": (after[0] - before[0]) / done * 1e6,
        "other_cpu": (after[1] - before[1]) / done * 1e6,
    }


def variants(context):
    """Key, label, how the system is made, and how many tasks take it some seconds."""
    if ApusWorker not in context.task_workers:
        raise Broken("apus-worker is not there; scripts/run-benchmarks.sh builds it")
    yield "apus", "Apus", lambda: ApusWorker(context.folder), 60_000
    yield "apus, user", "Apus, told to a user's channel too", lambda: ApusWorker(context.folder, user="bench"), 60_000
    if CeleryWorker in context.task_workers:
        yield "celery", "Celery, as it comes", lambda: CeleryWorker(context.folder), 2_000
        yield "celery, late", "Celery, late acknowledgement, started tracked", lambda: CeleryWorker(context.folder, late=True), 2_000


def rounds_of(context, keys, measure):
    """Records the median of what `measure` says of a fresh system and its count, in turns over the systems."""
    chosen = [each for each in variants(context) if each[0] in keys]
    samples = {key: [] for key, *_ in chosen}
    for _ in range(context.rounds):
        for key, label, make, count in chosen:
            try:
                with make() as system:
                    samples[key].append(measure(system, count))
            except Broken as problem:
                context.left_out(label, problem)
    for key, label, *_ in chosen:
        if found := samples[key]:
            context.record(key, label, {name: median(sample[name] for sample in found) for name in found[0]})


def tasks(context):
    """No-op tasks a second, from the queue to their ends."""
    rounds_of(context, ("apus", "apus, user", "celery", "celery, late"), drain)


def task_reports(context):
    """Progress reports a second that eight tasks make at once."""

    def reports(system, _):
        system.start_worker()
        return {"rate": system.reports(PLACES)}

    rounds_of(context, ("apus", "celery"), reports)


def task_latency(context):
    """From submitting a task to a worker that has nothing else to do until it has begun."""

    def latency(system, _):
        system.start_worker()
        system.latencies(50, 0.01)
        found = sorted(system.latencies(1_000 if context.full else 300, 0.01))
        return {"p50": found[len(found) // 2] * 1e3, "p99": found[len(found) * 99 // 100] * 1e3}

    rounds_of(context, ("apus", "celery"), latency)


def task_memory(context):
    """Memory of a worker that works while so many tasks wait; a thousand are about as many as it has in hand."""
    for count in (1_000, 10_000, 100_000, *((1_000_000,) if context.full else ())):
        with ApusWorker(context.folder) as system:
            system.submit(count)
            system.start_worker()
            highest, end = 0, time.monotonic() + 10
            while time.monotonic() < end:
                highest = max(highest, system.worker.memory()["pss"])
                time.sleep(0.1)
            context.record(f"apus, {count}", f"Apus, {count:,} tasks queued", {"highest": highest, "messages": system.left()})
