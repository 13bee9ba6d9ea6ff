"""dataset.summarize: progress on the owner's socket, results as Python computes them, and clear failures."""

import csv
import io
import math
import os
import random
import statistics
import uuid

from scenario import *


def numbers(values):
    """The values as numbers, or None if one is no number."""
    try:
        return [float(value) for value in values] if values else None
    except ValueError:
        return None


def expected(text):
    """What the summary of a CSV text must be, by Python's own csv and statistics."""
    records = [row for row in csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")) if row]
    header, rows = records[0], records[1:]
    columns = []
    for index, name in enumerate(header):
        present = [row[index] for row in rows if index < len(row) and row[index] != ""]
        column = {"name": name, "count": len(present), "missing": len(rows) - len(present),
                  "distinct": len(set(present))}
        values = numbers(present)
        if values:
            column["min"], column["max"] = min(values), max(values)
            column["mean"] = statistics.fmean(values)
            column["stddev"] = statistics.stdev(values) if len(values) > 1 else None
            column["sorted"] = sorted(values)
        columns.append(column)
    return {"rows": len(rows), "ragged_rows": sum(len(row) != len(header) for row in rows), "columns": columns}


def close(a, b, tolerance=1e-9):
    return math.isclose(a, b, rel_tol=tolerance, abs_tol=1e-9)


def compare(name, result, text, exact_quartiles):
    wanted = expected(text)
    expect(f"{name}: rows", result["rows"], wanted["rows"])
    expect(f"{name}: ragged rows", result["ragged_rows"], wanted["ragged_rows"])
    expect(f"{name}: columns", [c["name"] for c in result["columns"]], [c["name"] for c in wanted["columns"]])
    for column, want in zip(result["columns"], wanted["columns"]):
        where = f"{name}: {want['name']}"
        expect(f"{where} count", column["count"], want["count"])
        expect(f"{where} missing", column["missing"], want["missing"])
        if column["distinct_exact"]:
            expect(f"{where} distinct", column["distinct"], want["distinct"])
        else:
            assert abs(column["distinct"] - want["distinct"]) <= 0.05 * want["distinct"], (where, column, want["distinct"])
        if "sorted" not in want:
            assert column.get("mean") is None, f"{where} is no column of numbers: {column}"
            continue
        for figure in ("min", "max", "mean"):
            assert close(column[figure], want[figure]), f"{where} {figure}: {column[figure]} for {want[figure]}"
        if want["stddev"] is not None:
            assert close(column["stddev"], want["stddev"], 1e-7), f"{where}: {column['stddev']} for {want['stddev']}"
        ordered = want["sorted"]
        for part, value in zip((0.25, 0.5, 0.75), column["quartiles"]):
            if exact_quartiles:  # any of the usual definitions: between the neighbours of that rank
                rank = part * (len(ordered) - 1)
                low = ordered[max(0, math.floor(rank) - 1)]
                high = ordered[min(len(ordered) - 1, math.ceil(rank) + 1)]
            else:  # an estimate: within two hundredths of that rank
                low = ordered[max(0, int((part - 0.02) * len(ordered)))]
                high = ordered[min(len(ordered) - 1, int((part + 0.02) * len(ordered)))]
            assert low <= value <= high, f"{where} quartile {part}: {value} is not within {low} and {high}"


async def submit(person, path, **fields):
    """Submits over the socket; returns the task's id."""
    task = {"name": "dataset.summarize", "args": {"path": path}, **fields}
    return (await person.client.rpc("tasks.submit", task)).data["task_id"]


async def follow(person, task):
    """All states of a task until its last, from the owner's channel; checks that they only go forward."""
    inbox, states = person.inbox(f"user:{person.user}"), []
    while True:
        states.append(await inbox.next(lambda m: m.get("type") == "task_status" and m["task_id"] == task))
        if states[-1]["status"] in ("completed", "failed", "cancelled"):
            break
    order = [(state["attempt"], state["sequence"]) for state in states]
    assert order == sorted(set(order)), f"not only growing: {order}"
    progress = [state["progress"] for state in states if state["status"] in ("started", "processing")]
    assert progress == sorted(progress) or states[-1]["attempt"] > 1, f"progress goes back: {progress}"
    return states


def write(name, data):
    path = os.path.join(FOLDER, name)
    with open(path, "wb") as file:
        file.write(data if isinstance(data, bytes) else data.encode())
    return path


def generated(seed):
    """A CSV text with quotes, line breaks inside fields, gaps and ragged rows."""
    random.seed(seed)
    lines = io.StringIO(newline="")
    writer = csv.writer(lines, lineterminator=random.choice(["\n", "\r\n"]))
    writer.writerow(["id", "name, with comma", "größe", "note"])
    for index in range(random.randint(50, 400)):
        row = [index, random.choice(["Ann", 'Bob "the" Builder', "Zoë, Müller", "two\nlines"]),
               random.choice(["", repr(random.gauss(100, 15)), str(random.randint(-5, 5)), "1e3"]),
               random.choice(["", " spaced ", "x" * random.randint(1, 50)])]
        if random.random() < 0.05:
            row = row[: random.randint(1, 3)] if random.random() < 0.5 else row + ["one too many"]
        writer.writerow(row)
    return lines.getvalue()


async def scenario():
    bus = await backend()
    ann = await Person("42").connect()
    bob = await Person("7").connect()

    say("files of every shape, against Python's csv and statistics")
    texts = {
        "plain.csv": "a,b\n1,x\n2,y\n3,x\n4,\n",
        "quoted.csv": 'name,said\n"Ann","a ""quote"""\n"Bob","two\nlines"\n"Cy","comma, inside"\n',
        "bom.csv": "\ufeffa,b\n1,2\n3,4\n",
        "crlf.csv": "a,b\r\n1,2\r\n3,4\r\n",
        "no-end.csv": "a,b\n1,2\n3,4",
        "ragged.csv": "a,b,c\n1,2,3\n4,5\n6,7,8,9\n10,11,12\n",
        "header-only.csv": "a,b\n",
        "one-value.csv": "a\n5\n",
        "unicode.csv": "größe,naïve\n1.5,日本\n-2e3,🙂\n",
    }
    for seed in (random.randrange(1_000_000) for _ in range(3)):
        texts[f"generated-{seed}.csv"] = generated(seed)
    for name, text in texts.items():
        states = await follow(ann, await submit(ann, write(name, text)))
        expect(f"{name}: final status of {states}", states[-1]["status"], "completed")
        expect(f"{name}: final progress", states[-1]["progress"], 100)
        compare(name, states[-1]["result"], text, exact_quartiles=True)

    say("a large file: progress comes in steps, and the task's own channel shows it too")
    random.seed(7)
    lines = ["id,value,group"] + [f"{i},{random.gauss(50, 10):.6f},g{i % 1000}" for i in range(200_000)]
    text = "\n".join(lines) + "\n"
    path = write("large.csv", text)
    task = await submit(ann, path)
    states = await follow(ann, task)
    expect("final status", states[-1]["status"], "completed")
    compare("large.csv", states[-1]["result"], text, exact_quartiles=False)
    between = {state["progress"] for state in states if 0 < state["progress"] < 100}
    assert len(between) >= 5, f"too few steps of progress: {sorted(between)}"
    expect("the kinds of state", {s["status"] for s in states} <= {"queued", "started", "processing", "completed"}, True)

    say("the latest status by RPC, for its owner and not for others")
    latest = (await ann.client.rpc("tasks.get", {"task_id": task})).data
    expect("status", (latest["status"], latest["task_id"]), ("completed", task))
    try:
        stranger = (await bob.client.rpc("tasks.get", {"task_id": task})).data
        raise AssertionError(f"user 7 may read the task of user 42: {stranger}")
    except centrifuge.ReplyError as error:
        assert error.code in (103, 403, 404), error
    try:
        await bob.refused(f"task:{task}")
    except AssertionError:
        raise AssertionError("user 7 may watch the task of user 42") from None
    await ann.subscribe(f"task:{task}")

    say("what cannot be read fails with a message that says so")
    for name, path, words in (
        ("missing", os.path.join(FOLDER, "nowhere.csv"), ("no such file", "not found", "does not exist", "no file")),
        ("directory", FOLDER, ("directory", "folder")),
        ("binary", write("binary.csv", os.urandom(4096) + b"\0" * 64), ("binary", "utf-8", "text", "not a csv")),
    ):
        states = await follow(ann, await submit(ann, path))
        expect(f"{name}: final status of {states}", states[-1]["status"], "failed")
        message = states[-1]["message"].lower()
        assert any(word in message for word in words), f"{name}: the message does not say why: {message}"

    say("a task straight from a backend, on the bus")
    task = str(uuid.uuid4())
    await bus.jetstream().publish(
        "apus.task.default.dataset.summarize",
        json.dumps({"id": task, "name": "dataset.summarize", "args": {"path": write("bus.csv", "a\n1\n2\n")},
                    "user": "42"}).encode())
    states = await follow(ann, task)
    expect("status", (states[-1]["status"], states[-1]["result"]["rows"]), ("completed", 2))

    say("user 7 has seen nothing of all this")
    expect("messages of user 7", bob.inbox("user:7").messages, [])

    say("a task can be cancelled, and after that nothing follows")
    with open(os.path.join(FOLDER, "huge.csv"), "w") as file:
        file.write("id,value\n")
        for start in range(0, 3_000_000, 10_000):
            file.write("".join(f"{i},{i * 7 % 1013}\n" for i in range(start, start + 10_000)))
    task = await submit(ann, os.path.join(FOLDER, "huge.csv"))
    await ann.inbox("user:42").next(lambda m: m.get("task_id") == task and m["status"] == "processing")
    await ann.client.rpc("tasks.cancel", {"task_id": task})
    states = await follow(ann, task)
    expect("final status", states[-1]["status"], "cancelled")


run(scenario)
