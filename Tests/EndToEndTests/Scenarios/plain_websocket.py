"""The plain WebSocket: JSON both ways on one channel, its close codes and its error frames."""

from scenario import *


async def closed_with(channel, bearer=None, **options):
    """The code with which the server closes a socket that must not be let in."""
    try:
        async with plain_socket(channel, bearer, **options) as socket:
            async with asyncio.timeout(LIMIT):
                while True:
                    await socket.recv()
    except websockets.ConnectionClosed as closed:
        return closed.rcvd.code, closed.rcvd.reason


async def scenario():
    bus = await backend()

    say("what one sends, both get; so does a token in the header")
    async with plain_socket("room:lobby", token("42")) as ann, plain_socket(
        "room:lobby", additional_headers={"Authorization": f"Bearer {token('7')}"}
    ) as bob:
        await ann.send('{"text": "hello"}')
        expect("at the other", await receive(bob), {"text": "hello"})
        expect("at itself", await receive(ann), {"text": "hello"})
        await bob.send("[1, 2.5, null, \"ü\"]")
        expect("any JSON", await receive(ann), [1, 2.5, None, "ü"])
        expect("any JSON", await receive(bob), [1, 2.5, None, "ü"])
        await publish(bus, "apus.channel.room.lobby", {"from": "the backend"})
        expect("from the bus", await receive(bob), {"from": "the backend"})
        expect("from the bus", await receive(ann), {"from": "the backend"})

        say("what is not JSON gets an error frame, and the connection goes on")
        for frame in ("{", "hello", "", '{"a": 1} x', "{'a': 1}"):
            await ann.send(frame)
            expect(f"answer to {frame!r}", await receive(ann), {"error": "Invalid JSON format"})
        await ann.send('{"still": "here"}')
        expect("afterwards", await receive(bob), {"still": "here"})

        say("pings are answered")
        async with asyncio.timeout(LIMIT):
            await (await ann.ping())

    say("close codes")
    expect("without a token", await closed_with("room:lobby"), (4001, "Authentication required"))
    expect("with a bad token", (await closed_with("room:lobby", "rubbish"))[0], 4001)
    expect("with an expired token", (await closed_with("room:lobby", token("42", ttl=-60)))[0], 4001)
    expect("somebody else's channel", (await closed_with("user:7", token("42")))[0], 4003)
    expect("a role that one has not", (await closed_with("admin:x", token("42")))[0], 4003)

    async def too_big():
        async with plain_socket("room:lobby", token("42")) as socket:
            await socket.send(json.dumps("x" * 200_000))
            async with asyncio.timeout(LIMIT):
                while True:
                    await socket.recv()

    try:
        await too_big()
    except websockets.ConnectionClosed as closed:
        expect("too big", closed.rcvd.code, 1009)

    say("over the rate limit there is an error frame that says when to go on")
    async with plain_socket("room:rate", token("42")) as socket:
        for number in range(200):
            await socket.send(json.dumps({"number": number}))
        try:
            limited = await receive(socket, lambda message: message.get("error") == "Rate limit exceeded")
            assert limited["retry_after"] > 0, limited
        except websockets.ConnectionClosed as closed:  # who goes on all the same is closed
            expect("close code", closed.rcvd.code, 4029)

    say("a server that leaves says so")
    async with plain_socket("room:lobby", token("42")) as socket:
        expect("exit", await control("terminate", "gateway"), "exit status 0")
        try:
            async with asyncio.timeout(LIMIT):
                while True:
                    await socket.recv()
        except websockets.ConnectionClosed as closed:
            expect("close code", closed.rcvd.code, 1001)


run(scenario)
