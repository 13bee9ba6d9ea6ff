"""A Phoenix client of a few lines, version 2, writing its frames as phoenix.js does."""

import base64

from scenario import *


class Socket:
    """One WebSocket; keeps what comes as [join_ref, ref, topic, event, payload]."""

    def __init__(self, bearer=None, gateway=None, parameters="", **options):
        self.address = f"ws://{gateway or GATEWAY}/socket/websocket?vsn=2.0.0{parameters}"
        if bearer:
            self.address += f"&token={bearer}"
        self.options = options
        self.inbox = Inbox("a Phoenix client")
        self.next = 0
        self.join_refs = {}

    async def __aenter__(self):
        self.socket = await websockets.connect(self.address, proxy=None, **self.options)
        self.reading = asyncio.create_task(self.read())
        return self

    async def __aexit__(self, *_):
        self.reading.cancel()
        await self.socket.close()

    async def read(self):
        try:
            async for frame in self.socket:
                self.inbox.put(json.loads(frame))
        except websockets.ConnectionClosed:
            pass

    def ref(self):
        self.next += 1
        return str(self.next)

    async def ask(self, topic, event, payload, join_ref=None):
        """Sends a message and waits for its reply; returns its payload."""
        ref = self.ref()
        join_ref = join_ref or self.join_refs.get(topic)
        await self.socket.send(json.dumps([join_ref, ref, topic, event, payload]))
        return (await self.inbox.next(lambda m: m[1] == ref and m[3] == "phx_reply"))[4]

    async def join(self, topic, payload=None):
        ref = self.ref()
        self.join_refs[topic] = ref
        await self.socket.send(json.dumps([ref, ref, topic, "phx_join", payload or {}]))
        reply = await self.inbox.next(lambda m: m[1] == ref and m[3] == "phx_reply")
        expect("the reply's join reference", reply[0], ref)
        return reply[4]

    async def event(self, topic, event):
        return await self.inbox.next(lambda m: m[2] == topic and m[3] == event)

    async def ever(self, topic, event):
        """The first such event, whether it was passed over or comes yet."""

        def look():
            return next(([m] for m in self.inbox.messages if m[2] == topic and m[3] == event), None)

        return (await eventually(f"{event} on {topic}", look))[0]
