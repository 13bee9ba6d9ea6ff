"""What failed, shown and replayed by an operator: the built tool on a running worker."""

import os

from operator_tool import apus, values
from scenario import *

MISSING = "/nowhere/at/all.csv"


async def scenario():
    path = os.path.join(FOLDER, "tool.csv")

    say("a task that failed is shown with its arguments and errors, and replayed as a new one")
    failed = values("task", "list", "--status", "failed")
    expect("failed before", failed, [])
    apus("task", "run", "dataset.summarize", "--arg", f"path={path}", "--user", "42", status=1)
    [task] = values("task", "list", "--status", "failed")
    [shown] = values("task", "show", task["task_id"])
    expect("args", shown["args"], {"path": path})
    assert "no file" in shown["errors"][-1]["message"], shown
    text = apus("task", "show", task["task_id"])
    assert path in text and "no file" in text, text
    with open(path, "w") as file:
        file.write("a,b\n1,x\n2,y\n")
    replayed = apus("task", "replay", task["task_id"]).strip()
    await eventually("the replay's end", lambda: values("task", "show", replayed)[0]["status"] == "completed")
    [again] = values("task", "show", replayed)
    expect("replay of", (again["replay_of"], again["user"], again["result"]["rows"]), (task["task_id"], "42", 2))
    expect("the old one", values("task", "show", task["task_id"])[0]["status"], "failed")
    assert '"rows": 2' in apus("task", "replay", task["task_id"], "--follow")

    say("what died is listed and shown with all errors, and replayed one by one or all at once")
    [letter] = values("dead", "list")
    expect("letter", (letter["task_id"], letter["name"], letter["attempts"]), (task["task_id"], "dataset.summarize", 1))
    assert "no file" in apus("dead", "list")
    [shown] = values("dead", "show", str(letter["sequence"]))
    expect("payload", shown["payload"]["args"], {"path": path})
    assert "no file" in shown["errors"][-1]["message"], shown
    new = apus("dead", "replay", str(letter["sequence"])).strip()
    await eventually("its end", lambda: values("task", "show", new)[0]["status"] == "completed")
    assert "no dead letter" in apus("dead", "replay", str(letter["sequence"]), status=1)
    for name in ("b.csv", "c.csv"):
        apus("task", "run", "dataset.summarize", "--arg", f"path={os.path.join(FOLDER, name)}", status=1)
        with open(os.path.join(FOLDER, name), "w") as file:
            file.write("a\n1\n")
    apus("task", "run", "dataset.summarize", "--arg", f"path={MISSING}", status=1)
    news = apus("dead", "replay", "--all", "--name", "dataset.summarize").split()
    expect("replayed", len(news), 3)
    ends = [await eventually(f"the end of {new}", lambda: _end(new)) for new in news]
    expect("ends", sorted(ends), ["completed", "completed", "failed"])
    await eventually("the letter of the one that failed again", lambda: len(values("dead", "list")) == 1)
    assert "1 thrown away" in apus("dead", "purge", "--yes")
    expect("letters", values("dead", "list"), [])


def _end(task):
    status = values("task", "show", task)[0]["status"]
    return status if status in ("completed", "failed", "cancelled") else None


run(scenario)
