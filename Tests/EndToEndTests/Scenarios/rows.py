"""Rows that another program (the sqlite3 shell) changes appear on table:main.<table> with old and new values."""

import subprocess

from scenario import *


def sql(*statements):
    done = subprocess.run(
        ["sqlite3", "-cmd", ".timeout 10000", DATABASE], input="\n".join(statements) + "\n", text=True,
        capture_output=True, timeout=LIMIT)
    if done.returncode != 0 or done.stderr:
        raise RuntimeError(f"sqlite3: {done.stderr}")
    return done.stdout


async def scenario():
    ann = await Person("42").connect()
    bob = await Person("7").connect()
    await ann.subscribe("table:main.posts")
    await bob.subscribe("table:main.posts")
    changes = ann.inbox("table:main.posts")

    say("inserted")
    sql("INSERT INTO posts (id, title, body, score, published) VALUES (7, 'Hello ''quoted'' wörld', NULL, 2.5, 0);")
    change = await changes.next()
    expect("model", change["model"], "main.posts")
    expect("action", change["action"], "created")
    expect("key", change["key"], {"id": 7})
    expect("instance", change["instance"],
           {"id": 7, "title": "Hello 'quoted' wörld", "body": None, "score": 2.5, "published": 0})
    assert change.get("old_instance") is None, change

    say("changed")
    sql("UPDATE posts SET title = 'second', score = 3 WHERE id = 7;")
    change = await changes.next()
    expect("action", change["action"], "updated")
    expect("changes", change["changes"], {"title": ["Hello 'quoted' wörld", "second"], "score": [2.5, 3.0]})
    expect("old title", change["old_instance"]["title"], "Hello 'quoted' wörld")
    expect("new title", change["instance"]["title"], "second")

    say("many in one transaction, in their order")
    sql("BEGIN;", *[f"INSERT INTO posts (id, title) VALUES ({i}, 'row {i}');" for i in range(100, 200)], "COMMIT;")
    keys = [(await changes.next())["key"]["id"] for _ in range(100)]
    expect("keys", keys, list(range(100, 200)))

    say("deleted")
    sql("DELETE FROM posts WHERE id = 7;")
    change = await changes.next()
    expect("action", change["action"], "deleted")
    expect("key", change["key"], {"id": 7})
    expect("old instance", change["old_instance"]["title"], "second")
    assert change.get("instance") is None, change

    say("a transaction that is rolled back is not seen; the next change is the next message")
    sql("BEGIN;", "INSERT INTO posts (id, title) VALUES (900, 'never');", "ROLLBACK;")
    sql("UPDATE posts SET body = 'last' WHERE id = 1;")
    change = await changes.next()
    expect("next change", (change["action"], change["key"]), ("updated", {"id": 1}))

    say("everybody who watches has the same")
    await eventually("user 7 has all", lambda: len(bob.inbox("table:main.posts").messages) == len(changes.messages))
    expect("what user 7 got", bob.inbox("table:main.posts").messages, changes.messages)

    say("who is not logged in may not watch")
    try:
        async with plain_socket("table:main.posts") as socket:
            await socket.recv()
        raise AssertionError("an anonymous client was let in")
    except websockets.ConnectionClosed as closed:
        assert closed.rcvd.code in (4001, 4003), closed

    say("and a table that is not shared is refused")
    await ann.refused("table:main.sqlite_master")


run(scenario)
