"""What stands between clients and gateways: a TCP proxy that connects to a gateway that is there, and that can drop its
clients for a while, as a lift or a tunnel does."""

import asyncio
import contextlib


class Balancer:
    def __init__(self, gateways, random=None):
        """Passes each connection to one of the gateways that `random` chooses, or to the first that takes it."""
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
                writer.close()  # what a gateway said last still reaches its client
            else:
                writer.transport.abort()
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self.connections.discard(task)

    async def forward(self, reader, writer):
        order = self.random.sample(self.gateways, len(self.gateways)) if self.random else self.gateways
        for gateway in order:
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
