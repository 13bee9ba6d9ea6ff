"""The tool as an operator's program for tasks: what the scenarios about it share."""

import os
import subprocess

from scenario import *


def apus(*arguments, status=0):
    """Runs the tool; returns what it printed, or what it complained of."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("APUS_")}
    done = subprocess.run(
        [COMMAND, *arguments, "--nats-url", NATS], capture_output=True, text=True, timeout=60, env=environment,
        stdin=subprocess.DEVNULL)
    if done.returncode != status:
        raise AssertionError(f"apus {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout if status == 0 else done.stderr


def values(*arguments):
    return [json.loads(line) for line in apus(*arguments, "--json").splitlines()]
