"""A client whose gateway is killed comes back by itself and gets what it missed: once, in order."""

from scenario import *


async def scenario():
    bus = await backend()
    ann = await Person("42").connect()
    await ann.subscribe("room:lobby", recoverable=True, positioned=True)
    room = ann.inbox("room:lobby")

    async def publish_range(numbers):
        for number in numbers:
            await bus.jetstream().publish("apus.channel.room.lobby", json.dumps({"number": number}).encode())

    await publish_range(range(0, 10))
    expect("before", [(await room.next())["number"] for _ in range(10)], list(range(10)))

    say("the gateway is killed, messages are published meanwhile, it starts again")
    expect("exit", await control("kill", "gateway"), "signal 9")
    await publish_range(range(10, 40))
    await control("start", "gateway")
    expect("missed", [(await room.next())["number"] for _ in range(30)], list(range(10, 40)))
    await eventually("the client is back", lambda: ann.connections == 2)
    last = ann.subscribed["room:lobby"][-1]
    expect("recovered", (last.was_recovering, last.recovered), (True, True))

    say("and goes on")
    await publish_range(range(40, 50))
    expect("after", [(await room.next())["number"] for _ in range(10)], list(range(40, 50)))
    expect("everything once", [m["number"] for m in room.messages], list(range(50)))

    say("more missed than the history holds: the client is told that it cannot be recovered")
    await control("kill", "gateway")
    await publish_range(range(50, 200))
    await control("start", "gateway")
    await eventually("the client is back", lambda: ann.connections == 3)
    await eventually("subscribed again", lambda: len(ann.subscribed["room:lobby"]) == 3)
    last = ann.subscribed["room:lobby"][-1]
    expect("recovered", (last.was_recovering, last.recovered), (True, False))
    await publish_range([1000])
    await room.next(lambda message: message["number"] == 1000)
    numbers = [m["number"] for m in room.messages]
    expect("never twice or out of order", numbers, sorted(set(numbers)))

    say("NATS is killed and started again: the connection stays, and messages flow again")
    await control("kill", "nats")
    await control("start", "nats")
    await control("ready", "gateway")
    await eventually("the backend is back", lambda: bus.is_connected)
    await publish_range([1001])
    await room.next(lambda message: message["number"] == 1001)

    say("the stream of the users' own channels is made anew under their clients: they are told, and messages flow again")
    own = ann.inbox("user:42")
    before, asked = len(ann.server_side["user:42"]), ann.connections
    await bus.jetstream().publish("apus.channel.user.42", b'{"number":1}')
    await own.next(lambda message: message.get("number") == 1)
    await bus.jetstream().delete_stream("APUS_CHANNEL_USER")
    await eventually("the client was told and came back", lambda: len(ann.server_side["user:42"]) > before)
    expect("its connections", ann.connections, asked + 1)
    last = ann.server_side["user:42"][-1]
    expect("recovered", (last.was_recovering, last.recovered), (True, False))
    await bus.jetstream().publish("apus.channel.user.42", b'{"number":2}')
    await own.next(lambda message: message.get("number") == 2)


run(scenario)
