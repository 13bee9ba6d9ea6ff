"""The running system, as its environment describes it to a scenario, and ways to act on it from outside."""

import json
import os
import pathlib
import sqlite3
import subprocess
import sys
import urllib.request

import jwt

SECRET = os.environ["APUS_TEST_SECRET"]
DATABASE = os.environ["APUS_TEST_DATABASE"]
URL = f"http://{os.environ['APUS_TEST_GATEWAY']}"
COMMAND = pathlib.Path(os.environ["APUS_TEST_COMMAND"])

ENVIRONMENT = {
    **os.environ,
    "APUS_NATS_URL": os.environ["APUS_TEST_NATS"],
    "PATH": f"{COMMAND.parent}:{os.environ['PATH']}",
}


def token(user, *roles):
    return jwt.encode({"sub": user, "roles": list(roles)}, SECRET, algorithm="HS256")


def shell(line):
    """Runs a command line as somebody at a terminal would, with `apus` in the path."""
    done = subprocess.run(
        line, shell=True, executable="/bin/bash", env=ENVIRONMENT, cwd=pathlib.Path(DATABASE).parent,
        capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{line}\nended with {done.returncode}: {done.stderr or done.stdout}"
    return done.stdout


def _apus(*arguments):
    done = subprocess.run([COMMAND, *arguments], env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"apus {arguments[0]} ended with {done.returncode}: {done.stderr or done.stdout}"


def event(kind, **data):
    _apus("event", kind, json.dumps(data))


def publish(channel, data):
    _apus("publish", channel, json.dumps(data))


def execute(statement, *parameters):
    """Changes the watched database as any other program would."""
    database = sqlite3.connect(DATABASE, timeout=30)
    try:
        with database:
            return database.execute(statement, parameters).fetchall()
    finally:
        database.close()


def page_configuration():
    with urllib.request.urlopen(f"{URL}/page.json", timeout=10) as response:
        return json.load(response)


def rpc(method, parameters, bearer):
    """A call over HTTP."""
    request = urllib.request.Request(
        f"{URL}/rpc/{method}", json.dumps(parameters).encode(),
        {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        answer = json.load(response)
    return answer.get("result", answer)


def control(request):
    """Has whoever runs the system end or start a process: `terminate gateway`, `start gateway`, `ready gateway`."""
    print(f"@control {request}", flush=True)
    answer = sys.stdin.readline()
    assert answer.startswith("done"), f"{request}: {answer or 'nobody answers'}"
