"""Measures whole processes side by side; `make bench` runs it. See docs/benchmarks.md."""

import argparse
import json
import os
import platform
import re
import resource
import sys
import tempfile
import time
from pathlib import Path

import measurements
import report
from load import Load
from programs import Broken, Missing
from systems import PEERS_OF_APUS, Apus, FastAPI
from tasks import ApusWorker, CeleryWorker


class Context:
    """What measurements need, and where their results go."""

    def __init__(self, folder, results, systems, task_workers, full):
        self.folder = folder
        self.results = results
        self.systems = systems
        self.task_workers = task_workers
        self.full = full
        self.rounds, self.seconds = (7, 2.0) if full else (3, 1.0)
        self.measurement = None
        self.records = []

    def record(self, key, label, figures):
        self._write({"system": key, "label": label, "figures": figures})

    def left_out(self, label, problem):
        self._write({"system": None, "label": label, "left_out": str(problem).splitlines()[0]})
        print(f"  {label}: {problem}", file=sys.stderr)

    def _write(self, record):
        record = {"measurement": self.measurement, **record}
        self.records.append(record)
        with open(self.results, "a", encoding="utf8") as file:
            file.write(json.dumps(record) + "\n")


def machine():
    model = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    memory = re.search(r"^MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text(), re.M)
    return (
        f"{os.cpu_count()} cores of {model.group(1) if model else platform.machine()}, "
        f"{int(memory.group(1)) / 1024**2:.0f} GiB, Linux {platform.release()}"
    )


def main():
    names = [name for name, *_ in measurements.ALL]
    parser = argparse.ArgumentParser(prog="run-benchmarks.sh", description=__doc__)
    parser.add_argument("measurements", nargs="*", metavar="measurement", help=", ".join(names))
    parser.add_argument("--gateway", required=True, help="the gateway's program, built for release")
    parser.add_argument("--worker", help="the task worker's program, built for release")
    parser.add_argument("--load", required=True, help="the load generator")
    parser.add_argument("--python", required=True, type=Path, help="the Python environment of the peers")
    parser.add_argument("--results", required=True, type=Path, help="folder for results")
    parser.add_argument("--plots", type=Path, help="folder for plots")
    parser.add_argument("--full", action="store_true", help="everything, and more rounds")
    parser.add_argument("--without-peers", action="store_true")
    options = parser.parse_args()
    if unknown := set(options.measurements) - set(names):
        parser.error(f"no such measurement: {', '.join(sorted(unknown))}; there are {', '.join(names)}")

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    Load.path, Apus.gateway, FastAPI.environment = options.load, options.gateway, options.python
    ApusWorker.program = options.worker
    options.results.mkdir(parents=True, exist_ok=True)
    results = options.results / f"{time.strftime('%Y%m%d-%H%M%S')}.jsonl"

    systems, versions, missing = [], {}, []
    for kind in (Apus, *(() if options.without_peers else PEERS_OF_APUS)):
        try:
            versions[kind.name] = f"{kind.label} {kind.version()}"
            systems.append(kind)
        except Missing as what:
            missing.append(str(what))
    workers = []
    for kind in (ApusWorker, *(() if options.without_peers else (CeleryWorker,))):
        try:
            workers.append((kind, f"{kind.label} {kind.version()}"))
        except Missing as what:
            missing.append(str(what))
    print(f"machine: {machine()}")
    print("measured: " + "; ".join([*versions.values(), *(f"{label} (tasks)" for _, label in workers)]))
    if missing:
        print("left out, not on this machine: " + "; ".join(missing))

    broken = False
    with tempfile.TemporaryDirectory(prefix="apus-bench-") as folder:
        context = Context(Path(folder), results, systems, [kind for kind, _ in workers], options.full)
        context.records.append({"machine": machine(), "versions": versions})
        for name, title, function, is_quick in measurements.ALL:
            if name not in options.measurements if options.measurements else not (is_quick or options.full):
                continue
            print(f"\n== {name}: {title}", flush=True)
            context.measurement = name
            start = time.monotonic()
            try:
                function(context)
            except Broken as problem:
                broken = True
                print(f"{name} failed: {problem}", file=sys.stderr)
            report.print_measurement(name, context.records)
            print(f"({time.monotonic() - start:.0f} s)")
        if table := report.summary_table(context.records, versions):
            print(f"\n== all together, in parentheses the ratio to nats-server's WebSocket\n{table}")
        report.print_targets(context.records)
        if options.plots:
            import plots

            plots.write(context.records, options.plots)
    print(f"\nresults: {results}")
    return 1 if broken or report.has_faults(context.records) else 0


sys.exit(main())
