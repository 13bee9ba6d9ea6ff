"""The SHA-256 of a file, as an exec task: arguments on standard input, progress and result as JSON lines on standard output."""

import hashlib
import json
import os
import signal
import sys


def say(**line):
    print(json.dumps(line), flush=True)


def stop(number, frame):
    # The task was cancelled or took too long: two seconds are left to clean up.
    print("stopped", file=sys.stderr)
    sys.exit(1)


signal.signal(signal.SIGTERM, stop)
arguments = json.load(sys.stdin)
path = arguments.get("path")
if not isinstance(path, str):
    say(error="path is missing: it names the file to read", retry=False)
    sys.exit()
print(f"reading for user {os.environ['APUS_USER'] or 'nobody'}", file=sys.stderr)  # goes to the worker's log
try:
    with open(path, "rb") as file:
        size, read, digest = os.fstat(file.fileno()).st_size, 0, hashlib.sha256()
        while block := file.read(1 << 16):
            digest.update(block)
            read += len(block)
            say(progress=100 * read / max(size, 1), message=f"{read:,} bytes")
except FileNotFoundError:
    say(error=f"there is no file {path}", retry=False)  # another attempt would not find it either
else:
    say(result={"sha256": digest.hexdigest(), "bytes": read})
