"""What is measured: servers on free ports, and the dialects in which the load generator speaks with them."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from programs import LOAD_CORE, SERVER_CORE, Missing, Program, free_ports
from tokens import SECRET, write_tokens

PEERS = Path(__file__).resolve().parent.parent / "Peers"


def version_of(command, pattern):
    text = subprocess.run(command, capture_output=True, text=True, check=False)
    return re.search(pattern, text.stdout + text.stderr).group(1)


class System:
    """One server, fresh; `with` starts and stops it."""

    count = 0
    name = label = None
    most_connections = 19_500  # a process may hold 20,000 descriptors here
    other = None  # a program beside it, whose processor time is told apart

    def __init__(self, folder):
        System.count += 1
        self.folder = folder / f"{self.name}-{System.count}"
        self.folder.mkdir(parents=True)
        self.programs = []

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        for program in reversed(self.programs):
            program.stop()
        if self.other:
            self.other.stop()

    def run(self, command, core=SERVER_CORE, environment=None):
        log = self.folder / f"{len(self.programs)}-{Path(str(command[0])).name}.log"
        return Program(command, log, core, environment)

    def cpu(self):
        return sum(program.cpu() for program in self.programs)

    def other_cpu(self):
        return self.other.cpu() if self.other else 0.0

    def memory(self):
        memories = [program.memory() for program in self.programs]
        return {key: sum(memory[key] for memory in memories) for key in memories[0]}


class Apus(System):
    """Gateways with all features in place, Centrifuge JSON, messages over a NATS server with JetStream."""

    name, label = "apus", "Apus"
    gateway = None  # path of the program, set once
    # Whom the tokens name: nobody, so that a connection is on what it subscribes to and nothing else; all the same
    # user; or each a user of its own, who is on a channel of its own besides.
    NOBODY, ONE_USER, OWN_USER = "nobody", "one-user", "own-user"

    @classmethod
    def version(cls):
        return version_of([cls.gateway, "--version"], r"(\d\S*)")

    def __init__(self, folder, gateways=1, users=ONE_USER, tls=False, command=None):
        super().__init__(folder)
        self.tls = tls
        self.command = command or [self.gateway]
        self.gateways = gateways
        self.users = users

    def start(self):
        (self.nats_port,) = free_ports(1)
        self.other = self.run(
            ["nats-server", "-a", "127.0.0.1", "-p", self.nats_port, "-js", "-sd", self.folder / "streams"], LOAD_CORE
        )
        self.other.wait_for_port(self.nats_port)
        certificate, key = (self.folder / name for name in ("certificate.pem", "key.pem"))
        if self.tls:
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                 "-days", "2", "-subj", "/CN=localhost", "-keyout", key, "-out", certificate],
                check=True, capture_output=True,
            )  # fmt: skip
        configuration = self.folder / "apus.yaml"
        configuration.write_text(f"""
gateway:
  token: {{ secret: {SECRET} }}
  anonymous: true
  loops: 1
  {f"tls: {{ certificate: {certificate}, key: {key} }}" if self.tls else ""}
  limits: {{ connections_per_user: 0, user_messages_per_minute: 0, connection_messages_per_second: 0 }}
  namespaces:
    - {{ name: bench, subscribe: anyone, publish: nobody }}
    - {{ name: kept, subscribe: anyone, publish: nobody, history: {{ size: 100, ttl: 1h }} }}
""")
        self.ports = []
        for _ in range(self.gateways):
            port, admin = free_ports(2)
            gateway = self.run(
                [
                    *self.command, "--config", configuration, "--nats-url", f"nats://127.0.0.1:{self.nats_port}",
                    "--gateway-listen", f"127.0.0.1:{port}", "--admin-listen", f"127.0.0.1:{admin}",
                ]
            )  # fmt: skip
            self.programs.append(gateway)
            self.ports.append(port)
            gateway.wait_for_answer(f"http://127.0.0.1:{admin}/ready")
            gateway.wait_for_port(port)
        names = {self.NOBODY: [""], self.ONE_USER: ["bench"], self.OWN_USER: [f"u{n}" for n in range(20_000)]}
        self.tokens = write_tokens(self.folder / "tokens", names[self.users])

    def dialect(self, namespace="bench", further=0, recover=None, gateway=None):
        """- further: subscriptions of each connection besides the first, to channels that all share."""
        recovery = "" if recover is None else ',"recover":true,"epoch":"%s","offset":%s' % recover
        greeting = (
            '{"id":1,"connect":{"token":"{token}"}}\n'
            '{"id":2,"subscribe":{"channel":"%s:c{channel}"%s}}' % (namespace, recovery)
        )
        if further:
            greeting += '{more:%d}\n{"id":1{index},"subscribe":{"channel":"%s:more{index}"}}{end}' % (further, namespace)
        return {
            "ports": self.ports[gateway] if gateway is not None else ",".join(map(str, self.ports)),
            "path": "/connection/websocket",
            "greeting": greeting,
            "confirmation": '"subscribe":{',
            "confirmations": 1 + further,
            "ping": "{}",
            "pong": "{}",
            "tokens": self.tokens,
            "tls": self.tls,
            "publisher": "nats",
            "publisher-port": self.nats_port,
            "target": f"apus.channel.{namespace}.c{{channel}}",
        }


class NATSServer(System):
    name, label = "nats-server", "nats-server's WebSocket"

    @classmethod
    def version(cls):
        if not shutil.which("nats-server"):
            raise Missing("nats-server: apt-get install nats-server")
        return version_of(["nats-server", "--version"], r"v(\d\S*)")

    def start(self):
        self.client_port, self.port = free_ports(2)
        configuration = self.folder / "nats.conf"
        configuration.write_text(f"""
listen: "127.0.0.1:{self.client_port}"
websocket {{ listen: "127.0.0.1:{self.port}", no_tls: true }}
ping_interval: "25s"
ping_max: 4
""")
        self.programs = [self.run(["nats-server", "-c", configuration])]
        self.programs[0].wait_for_port(self.port)
        self.programs[0].wait_for_port(self.client_port)

    def dialect(self, further=0):
        more = "{more:%d}SUB more{index} 1{index}\r\n{end}" % further if further else ""
        return {
            "ports": self.port,
            "path": "/",
            "greeting": 'CONNECT {"verbose":false,"lang":"c","version":"1"}\r\nSUB c{channel} 1\r\n' + more + "PING\r\n",
            "confirmation": "PONG",
            "ping": "PING\r\n",
            "pong": "PONG\r\n",
            "publisher": "nats",
            "publisher-port": self.client_port,
            "target": "c{channel}",
        }


class Nchan(System):
    name, label = "nchan", "nchan (nginx)"
    most_connections = 16_000
    module = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")

    @classmethod
    def version(cls):
        if not shutil.which("nginx") or not cls.module.exists():
            raise Missing("nchan: apt-get install nginx-light libnginx-mod-nchan")
        return version_of(["dpkg-query", "-W", "-f", "${Version}", "libnginx-mod-nchan"], r"(?:\d+:)?([0-9.]+)")

    def start(self):
        (self.port,) = free_ports(1)
        configuration = self.folder / "nginx.conf"
        text = (PEERS / "nginx.conf").read_text().replace("{folder}", str(self.folder))
        configuration.write_text(text.replace("{port}", str(self.port)))
        self.programs = [self.run(["nginx", "-e", self.folder / "nginx.log", "-c", configuration])]
        self.programs[0].wait_for_port(self.port)

    def dialect(self):
        return {
            "ports": self.port,
            "path": "/sub/c{channel}",
            "publisher": "http",
            "publisher-port": self.port,
            "target": "/pub/c{channel}",
        }


class NodeWS(System):
    name, label = "node-ws", "node ws"
    modules = Path("/usr/share/nodejs")

    @classmethod
    def version(cls):
        if not shutil.which("node") or not (cls.modules / "ws").exists():
            raise Missing("node ws: apt-get install nodejs node-ws")
        package = (cls.modules / "ws/package.json").read_text()
        version = re.search(r'"version":\s*"([^"]+)"', package).group(1)
        return f"{version}, node {version_of(['node', '--version'], r'v(.+)')}"

    def start(self):
        self.port, self.control = free_ports(2)
        command = ["node", PEERS / "node-ws.js", self.port, self.control]
        self.programs = [self.run(command, environment={"NODE_PATH": str(self.modules)})]
        self.programs[0].wait_for_port(self.port)
        self.programs[0].wait_for_port(self.control)

    def dialect(self):
        return {
            "ports": self.port,
            "path": "/c{channel}",
            "publisher": "line",
            "publisher-port": self.control,
            "target": "c{channel}",
        }


class FastAPI(System):
    name, label = "fastapi", "FastAPI, uvicorn"
    environment = None  # of Python, set once

    @classmethod
    def version(cls):
        python = cls.environment / "bin/python"
        if not python.exists():
            raise Missing("FastAPI: make bench-peers")
        code = "import importlib.metadata as m; print('v' + m.version('fastapi') + ', uvicorn ' + m.version('uvicorn'))"
        return version_of([python, "-c", code], r"v(.+)")

    def start(self):
        self.port, self.control = free_ports(2)
        command = [
            self.environment / "bin/python", "-m", "uvicorn", "--app-dir", PEERS, "fastapi_app:app", "--port", self.port,
            "--backlog", 4096, "--log-level", "warning", "--no-access-log", "--ws-per-message-deflate", "false",
            "--ws-ping-interval", 25, "--ws-ping-timeout", 60,
        ]  # fmt: skip
        self.programs = [self.run(command, environment={"APUS_BENCH_CONTROL": str(self.control), "PYTHONDONTWRITEBYTECODE": "1"})]
        self.programs[0].wait_for_port(self.port)
        self.programs[0].wait_for_port(self.control)

    def dialect(self):
        return {
            "ports": self.port,
            "path": "/c{channel}",
            "publisher": "line",
            "publisher-port": self.control,
            "target": "c{channel}",
        }


PEERS_OF_APUS = (NATSServer, Nchan, NodeWS, FastAPI)
