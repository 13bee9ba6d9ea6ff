"""Fan-out as FastAPI's documentation shows it: a manager of connections, and a send to each.

APUS_BENCH_CONTROL is the port for lines of "channel message".
"""

import asyncio
import os
from collections import defaultdict
from contextlib import asynccontextmanager

from fastapi import FastAPI, WebSocket, WebSocketDisconnect


class ConnectionManager:
    def __init__(self):
        self.channels = defaultdict(set)

    async def connect(self, channel, socket):
        await socket.accept()
        self.channels[channel].add(socket)

    def disconnect(self, channel, socket):
        self.channels[channel].discard(socket)
        if not self.channels[channel]:
            del self.channels[channel]

    async def broadcast(self, channel, message):
        for socket in tuple(self.channels.get(channel, ())):
            await socket.send_text(message)


manager = ConnectionManager()


async def control(reader, writer):
    while line := await reader.readline():
        channel, _, message = line.decode().rstrip("\n").partition(" ")
        await manager.broadcast(channel, message)


@asynccontextmanager
async def lifespan(_):
    server = await asyncio.start_server(control, "127.0.0.1", int(os.environ["APUS_BENCH_CONTROL"]))
    yield
    server.close()


app = FastAPI(lifespan=lifespan)


@app.websocket("/{channel}")
async def channel_socket(socket: WebSocket, channel: str):
    await manager.connect(channel, socket)
    try:
        while True:
            await socket.receive_text()
    except WebSocketDisconnect:
        pass
    finally:
        manager.disconnect(channel, socket)
