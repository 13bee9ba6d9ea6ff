"""Programs that run for a benchmark, and what the system says of them."""

import atexit
import os
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

# Servers get the first core, everything else the second, so that neither takes the other's time.
SERVER_CORE, LOAD_CORE = (0, 1) if os.cpu_count() > 1 else (None, None)


class Missing(Exception):
    """A program that is not on this machine; the text says what to install."""


class Broken(Exception):
    """A program did not do what a benchmark needs."""


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Program:
    """A process on one core, with the processes that it started. It ends with the harness."""

    running = set()

    def __init__(self, command, log, core, environment=None, **options):
        self.log = Path(log)
        pin = [] if core is None else ["taskset", "-c", str(core)]
        with open(self.log, "wb") as output:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *pin, *map(str, command)],
                stdin=options.get("stdin", subprocess.DEVNULL),
                stdout=options.get("stdout", output),
                stderr=output,
                env={**os.environ, **(environment or {})},
            )
        Program.running.add(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self not in Program.running:
            return
        Program.running.discard(self)
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def wait_for_port(self, port, seconds=20):
        end = time.monotonic() + seconds
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                self._not_yet(end, f"does not listen on port {port}")

    def wait_for_answer(self, address, seconds=20):
        end = time.monotonic() + seconds
        while True:
            try:
                with urllib.request.urlopen(address, timeout=2) as answer:
                    answer.read()
                return
            except (OSError, urllib.error.HTTPError):
                self._not_yet(end, f"does not answer {address} with 200")

    def _not_yet(self, end, what):
        if self.process.poll() is not None or time.monotonic() > end:
            raise Broken(f"{self.process.args[-1]} {what}:\n{self.log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.02)

    def pids(self):
        pids, waiting = [], [self.process.pid]
        while waiting:
            pid = waiting.pop()
            pids.append(pid)
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                waiting += map(int, children.read_text().split())
        return pids

    def cpu(self):
        """Seconds of processor time, to the nanosecond: the process's own clock, which anybody may read."""
        return sum(time.clock_gettime((~pid << 3) | 2) for pid in self.pids())

    def memory(self):
        """Bytes: `rss` as everybody reads it, `pss` with what processes share counted once."""
        total = {"rss": 0, "pss": 0}
        for pid in self.pids():
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            for key, total_key in (("Rss", "rss"), ("Pss", "pss")):
                total[total_key] += int(re.search(rf"^{key}:\s+(\d+) kB", rollup, re.M).group(1)) * 1024
        return total


@atexit.register
def _stop_all():
    for program in tuple(Program.running):
        program.stop()
