"""The examples in docs/protocols.md, docs/server-api.md and docs/hooks.md, run as they stand there.

Every block of `bash` and `python` runs against the system under test, which stands in the place of 127.0.0.1:8080, with a
token and the API key in the environment. It must end well, and what a server answers must not be an error.
"""

import pathlib
import subprocess

from scenario import *

PROJECT = pathlib.Path(__file__).parents[3]
#: The one answer that shows an error on purpose: a batch is as good as its parts.
ALLOWED = '"error":{"code":102'


def blocks(name, language):
    text = (PROJECT / "docs" / name).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


async def run_block(language, block):
    command = ["bash", "-euo", "pipefail", "-c"] if language == "bash" else [sys.executable, "-c"]
    environment = {**os.environ, "TOKEN": token("42", "staff"), "KEY": API_KEY}
    done = await asyncio.to_thread(
        subprocess.run, [*command, block.replace("127.0.0.1:8080", GATEWAY)], env=environment, capture_output=True,
        text=True, timeout=LIMIT)
    if done.returncode != 0 or '"error"' in done.stdout.replace(ALLOWED, ""):
        raise AssertionError(f"{block}\nended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


async def scenario():
    bus = await backend()
    ran = 0
    for name in ("protocols.md", "server-api.md"):
        for language in ("bash", "python"):
            for block in blocks(name, language):
                say(f"{name}: {block.strip().splitlines()[0][:90]}")
                # What a plain WebSocket or a stream waits for.
                await publish(bus, "apus.channel.room.lobby", {"text": "an example"})
                print((await run_block(language, block))[:300])
                ran += 1
    assert ran >= 12, f"only {ran} examples were found"

    say("what docs/hooks.md shows is the tested example")
    example = (PROJECT / "Examples/any-language/polls.py").read_text()
    [shown] = blocks("hooks.md", "python")
    assert shown.strip() in example, "the handler in docs/hooks.md differs from Examples/any-language/polls.py"

    say("every method of the server API is described, and every described one is there")
    described = set(re.findall(r"^\| `(\w+)` \|", (PROJECT / "docs/server-api.md").read_text(), re.MULTILINE))
    source = "".join(
        path.read_text() for path in (PROJECT / "Services/Gateway/Edge/HTTP").rglob("ServerAPI*.swift"))
    expect("methods", described | {"batch"}, set(re.findall(r'case "(\w+)": return', source)) | {"batch"})


run(scenario)
