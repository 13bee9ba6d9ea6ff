"""The load generator (Benchmarks/Load) as an object."""

import json
import subprocess

from programs import LOAD_CORE, Broken, Program


class Load:
    """One process of it: subscribers of one server, and a publisher."""

    path = None  # of the program, set once

    counter = 0

    def __init__(self, folder, dialect, capacity=19_900):
        Load.counter += 1
        arguments = ["--capacity", capacity]
        for name, value in dialect.items():
            if value is True:
                arguments.append(f"--{name}")
            elif value:
                arguments += [f"--{name}", value]
        self.program = Program(
            [Load.path, *arguments],
            folder / f"load-{Load.counter}.log",
            LOAD_CORE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.program.stop()

    def ask(self, *command):
        self.tell(*command)
        return self.answer()

    def tell(self, *command):
        try:
            self.program.process.stdin.write((" ".join(map(str, command)) + "\n").encode())
            self.program.process.stdin.flush()
        except BrokenPipeError:
            pass  # what it said before it ended comes with the answer

    def answer(self):
        line = self.program.process.stdout.readline()
        if not line:
            raise Broken(self.program.log.read_text(errors="replace").strip()[-500:] or "the load generator ended")
        return json.loads(line)

    def open(self, count, channels=1, concurrency=64, first=None):
        return self.ask("open", count, channels, concurrency, *([] if first is None else [first]))

    def publish(self, messages, window):
        return self.ask("publish", messages, window)
