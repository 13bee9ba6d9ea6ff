"""As much of NATS's protocol as measuring tasks needs: to publish fast, to listen, and to ask JetStream."""

import json
import socket
import time

from programs import Broken


class Bus:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.count = 0
        self.socket.sendall(b'CONNECT {"verbose":false,"headers":true,"lang":"python","version":"1"}\r\nSUB _bench.> 1\r\n')
        self.synchronize()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def subscribe(self, subject):
        self.count += 1
        self.socket.sendall(f"SUB {subject} {self.count + 1}\r\n".encode())
        self.synchronize()

    def publish(self, subject, payload, reply=""):
        self.socket.sendall(message(subject, payload, reply))

    def publish_all(self, messages):
        """Many at once, and waits until the server has read them."""
        for start in range(0, len(messages), 5_000):
            self.socket.sendall(b"".join(messages[start : start + 5_000]))
            self.synchronize()

    def synchronize(self):
        self.socket.sendall(b"PING\r\n")
        while self.next() is not None:
            pass

    def next(self, seconds=30):
        """The next message as (subject, payload); None for an answer to a ping."""
        self.socket.settimeout(seconds)
        while True:
            line = self._line()
            if line == b"PONG":
                return None
            if line == b"PING":
                self.socket.sendall(b"PONG\r\n")
            elif line.startswith((b"MSG", b"HMSG")):
                words = line.split()
                sizes = [int(word) for word in words[3:] if word.isdigit()]
                body = self._bytes(sizes[-1] + 2)[:-2]
                return words[1].decode(), body[sizes[-2] :] if words[0] == b"HMSG" else body
            elif line.startswith(b"-ERR"):
                raise Broken(f"NATS says {line.decode()}")

    def ask(self, operation, body=None):
        """JetStream's answer to `$JS.API.<operation>`."""
        self.count += 1
        reply = f"_bench.{self.count}"
        self.publish(f"$JS.API.{operation}", json.dumps(body).encode() if body else b"", reply)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            answer = self.next()
            if answer and answer[0] == reply:
                return json.loads(answer[1])
        raise Broken(f"no answer to {operation}")

    def stored(self, stream):
        """How many messages a stream holds; none if it is not there."""
        return self.ask(f"STREAM.INFO.{stream}").get("state", {}).get("messages", 0)

    def _line(self):
        while b"\r\n" not in self.buffer:
            self._receive()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def _bytes(self, count):
        while len(self.buffer) < count:
            self._receive()
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def _receive(self):
        try:
            received = self.socket.recv(1 << 18)
        except TimeoutError:
            raise Broken("NATS says nothing") from None
        if not received:
            raise Broken("NATS has closed the connection")
        self.buffer += received


def message(subject, payload, reply=""):
    return f"PUB {subject} {reply + ' ' if reply else ''}{len(payload)}\r\n".encode() + payload + b"\r\n"
