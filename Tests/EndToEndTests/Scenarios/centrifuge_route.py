"""The Centrifuge route with its client for Python: connect, subscribe, publish, call, presence, history, bad tokens."""

from scenario import *


async def disconnected(person):
    """Connects somebody who must not get in; returns the code of the disconnect."""
    await person.client.connect()
    await eventually("a disconnect", lambda: person.disconnects)
    expect("connections", person.connections, 0)
    return person.disconnects[-1][0]


async def scenario():
    bus = await backend()
    ann = await Person("42").connect()
    bob = await Person("7").connect()

    say("what one client publishes in a room reaches the other, and comes back to itself")
    in_room = await ann.subscribe("room:lobby", join_leave=True)
    await bob.subscribe("room:lobby")
    await in_room.publish({"text": "hello, wörld 🙂"})
    expect("at the other", await bob.inbox("room:lobby").next(), {"text": "hello, wörld 🙂"})
    expect("at itself", await ann.inbox("room:lobby").next(), {"text": "hello, wörld 🙂"})

    say("what a backend publishes on the bus reaches both, in order")
    for number in range(200):
        await bus.publish("apus.channel.room.lobby", json.dumps({"number": number}).encode())
    for person in (ann, bob):
        got = [(await person.inbox("room:lobby").next())["number"] for _ in range(200)]
        expect(f"numbers at {person.user}", got, list(range(200)))
        offsets = person.offsets["room:lobby"]
        expect(f"offsets grow at {person.user}", offsets, sorted(set(offsets)))

    say("a channel's name with bytes that are special on the bus is just a name")
    odd = "room:a b*c>d%e/ü.x"
    await ann.subscribe(odd)
    await bus.publish("apus.channel.room.a%20b%2Ac%3Ed%25e%2F%C3%BC.x", b'{"odd": true}')
    expect("odd", await ann.inbox(odd).next(), {"odd": True})

    say("history and presence")
    history = await in_room.history(limit=10, reverse=True)
    expect("newest of the history", history.publications[0].data, {"number": 199})
    assert history.offset >= 201 and history.epoch, history
    present = await in_room.presence()
    expect("present", sorted(info.user for info in present.clients.values()), ["42", "7"])
    await bob.client.get_subscription("room:lobby").unsubscribe()
    await eventually("user 7 left", lambda: [c for c, info in ann.leaves if info.user == "7"])

    say("who is unsubscribed gets nothing more")
    got = len(bob.inbox("room:lobby").messages)
    await in_room.publish({"text": "without bob"})
    await ann.inbox("room:lobby").next(lambda m: m.get("text") == "without bob")
    await bob.client.rpc("notifications.list", {})  # a round trip behind it
    expect("messages after leaving", len(bob.inbox("room:lobby").messages), got)

    say("calls: a result, a service's error, a method that nobody answers")
    expect("unread", (await ann.client.rpc("notifications.list", {})).data["unread_count"], 0)
    for method, parameters in (("tasks.get", {"task_id": "no-such-task"}), ("nobody.answers", {})):
        try:
            answer = (await ann.client.rpc(method, parameters)).data
            raise AssertionError(f"{method} was answered: {answer}")
        except centrifuge.ReplyError as error:
            assert error.code and error.message, error

    say("not everything may be subscribed to or published to")
    for channel in ("user:7", "admin:secret", "nowhere:x", "room:", "room:a..b"):
        code, _ = await ann.refused(channel)
        assert code in (102, 103, 107), f"{channel}: {code}"
    await ann.subscribe("topic:news")
    try:
        await ann.client.publish("topic:news", {})
        raise AssertionError("a client may publish in a topic")
    except centrifuge.ReplyError as error:
        expect("code", error.code, 103)

    say("pings keep an idle connection: the client would give up without them")
    await asyncio.sleep(1)
    expect("connections", ann.connections, 1)

    say("bad tokens: forged, expired, not yet valid, unsigned, rubbish, none")
    now = int(time.time())
    for name, bearer in {
        "forged": jwt.encode({"sub": "42"}, "another-secret-of-at-least-32-bytes!", algorithm="HS256"),
        "not yet valid": token("42", nbf=now + 3600),
        "unsigned": jwt.encode({"sub": "42"}, None, algorithm="none"),
        "rubbish": "abc.def.ghi",
    }.items():
        expect(name, await disconnected(Person("42", bearer=bearer)), 3500)
    # An expired token is told as such; this client, without a way to get a new one, then gives up as unauthorized.
    expired = Person("42", bearer=token("42", ttl=-60))
    code = await disconnected(expired)
    assert code in (1, 3500), code
    nobody = Person("nobody", bearer="")
    expect("without a token (unauthorized, in that protocol)", await disconnected(nobody), 101)

    say("a token that expires while connected ends the connection")
    brief = await Person("9", bearer=token("9", ttl=3)).connect()
    await eventually("the end of an expired connection", lambda: brief.disconnects or brief.connections > 1)
    expect("connections", brief.connections, 1)


run(scenario)
