"""The tool `apus`, as a program would use it."""

import os
import subprocess

from scenario import *


def apus(*arguments, status=0, text=None):
    """Runs the tool; returns its standard output."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("APUS_")}
    environment["APUS_GATEWAY_TOKEN_SECRET"] = SECRET
    environment["APUS_GATEWAY_LISTEN"] = GATEWAY
    done = subprocess.run([COMMAND, *arguments], capture_output=True, text=True, input=text, timeout=60, env=environment)
    if done.returncode != status:
        raise AssertionError(f"apus {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout if status == 0 else done.stderr


def lines(output):
    return [json.loads(line) for line in output.splitlines() if line.strip()]


async def scenario():
    at = ("--nats-url", NATS)
    ann = await Person("42").connect()
    await ann.subscribe("room:lobby")

    say("token: what it makes opens the gateway, and others can read it")
    made = apus("token", "--user", "42", "--role", "staff", "--role", "admin", "--ttl", "5m").strip()
    claims = jwt.decode(made, SECRET, algorithms=["HS256"])
    expect("claims", (claims["sub"], claims["roles"]), ("42", ["staff", "admin"]))
    assert 290 <= claims["exp"] - time.time() <= 310, claims
    expect("status with it", (await rpc("notifications.list", {}, made))[0], 200)

    say("publish and event reach those who should see them")
    apus("publish", "room:lobby", '{"from": "the tool"}', *at)
    expect("in the room", await ann.inbox("room:lobby").next(), {"from": "the tool"})
    apus("event", "order.status_changed", '{"order_id": 9, "user_id": "42", "status": "shipped"}', *at)
    await ann.inbox("user:42").next(lambda m: m.get("order_id") == 9)

    say("subscribe prints what comes, one JSON value a line")
    seen = subprocess.Popen(
        [COMMAND, "subscribe", "room:lobby", "--from-start", "--count", "2", "--json", *at], stdout=subprocess.PIPE, text=True)
    apus("publish", "room:lobby", '{"second": true}', *at)
    output, _ = seen.communicate(timeout=60)
    expect("messages", [m["data"] for m in lines(output)], [{"from": "the tool"}, {"second": True}])

    say("task run follows a task to its end; task list shows it")
    path = os.path.join(FOLDER, "tool.csv")
    with open(path, "w") as file:
        file.write("a,b\n1,x\n2,y\n")
    output = lines(apus("task", "run", "dataset.summarize", "--file", f"path={path}", "--user", "42", "--json", *at))
    text = json.dumps(output[-1])
    assert '"rows": 2' in text, output
    listed = lines(apus("task", "list", "--json", *at))
    expect("tasks listed", [(t["name"], t["status"]) for t in listed], [("dataset.summarize", "completed")])
    apus("task", "run", "dataset.summarize", "--arg", "path=/nowhere.csv", "--json", *at, status=1)

    say("services lists all that answer")
    names = {service["name"] for service in lines(apus("services", "--json", *at))}
    assert len(names) >= 3, names

    say("doctor finds nothing wrong here, and what is wrong elsewhere")
    apus("doctor", "--config", os.path.join(FOLDER, "apus.yaml"), *at, status=0)
    problem = subprocess.run(
        [COMMAND, "doctor", "--nats-url", "nats://127.0.0.1:9"], capture_output=True, text=True, timeout=60)
    assert problem.returncode == 1, problem
    assert "nats-server" in problem.stdout + problem.stderr, problem

    say("wrong usage exits 64 and says what is wrong; an unreachable server exits 1 and names it")
    for wrong in (["nonsense"], ["publish"], ["publish", "room:a..b", "{}"], ["token"], ["token", "--user", "1", "--ttl", "soon"]):
        assert apus(*wrong, status=64), wrong
    assert "127.0.0.1:9" in apus("publish", "room:x", "{}", "--nats-url", "nats://127.0.0.1:9", status=1)

    say("--help of the tool and of every command")
    for command in ([], ["dev"], ["token"], ["publish"], ["subscribe"], ["event"], ["task", "run"], ["task", "list"],
                    ["services"], ["doctor"]):
        assert "USAGE" in apus(*command, "--help"), command


run(scenario)
