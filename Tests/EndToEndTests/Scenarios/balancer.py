"""What stands between a client and the gateways in the fault run: a TCP proxy that connects to whichever gateway is there,
and that can drop its client for a while, as a lift or a tunnel does."""

import asyncio
import contextlib


class Balancer:
    def __init__(self, gateways, random):
        self.gateways, self.random = gateways, random
        self.connections = set()
        self.is_open = True

    async def start(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.address = "127.0.0.1:%d" % self.server.sockets[0].getsockname()[1]
        return self

    async def serve(self, reader, writer):
        task = asyncio.current_task()
        self.connections.add(task)
        try:
            if self.is_open:
                await self.forward(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self.connections.discard(task)
            writer.transport.abort()

    async def forward(self, reader, writer):
        for gateway in self.random.sample(self.gateways, len(self.gateways)):
            host, port = gateway.split(":")
            try:
                there_reader, there_writer = await asyncio.open_connection(host, int(port))
            except OSError:
                continue
            try:
                pumps = [asyncio.ensure_future(pump(reader, there_writer)), asyncio.ensure_future(pump(there_reader, writer))]
                try:
                    await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for one in pumps:
                        one.cancel()
            finally:
                there_writer.transport.abort()
            return

    async def drop(self, seconds):
        """Cuts what is connected, and lets nobody in for a while."""
        self.is_open = False
        for task in list(self.connections):
            task.cancel()
        await asyncio.sleep(seconds)
        self.is_open = True


async def pump(reader, writer):
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
