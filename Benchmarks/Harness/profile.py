"""Where the gateway's instructions go: a small load against it under valgrind's callgrind, as a table.

Counted are instructions of the program and its libraries, not the kernel's.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from load import Load
from systems import Apus

# The first that matches a function, or else the library it is in, names its group.
GROUPS = [
    ("reference counting", r"swift_(retain|release|bridgeObject|unknownObject|weak|unowned)|RefCount|_swift_release"),
    ("exclusivity checks", r"swift_(begin|end)Access|AccessSet|SwiftTLSContext"),
    ("memory: allocation", r"swift_(alloc|dealloc|slowAlloc|slowDealloc|initStack)|^(malloc|free|calloc|realloc|cfree)|_int_(malloc|free)|tcache|unlink_chunk|malloc_consolidate|sysmalloc|operator (new|delete)|_Zn[wa]|_Zd[la]"),
    ("memory: copies", r"^_*mem(cpy|move|set|cmp|chr)|arrayInit|bcmp"),
    ("types and generics at run time", r"swift_(getAssociated|getGeneric|getWitness|getTypeBy|dynamicCast|conformsTo|checkMetadata|project|getObjectType|instantiate)|swift::.*Metadata|MetadataCache|ConcurrentReadable"),
    ("hashing", r"Hasher|SipHash|_rawHashValue|hash\(into"),
    ("tasks and executors", r"swift_(task|job|async|continuation|actor|default)|swift::runJob|TaskGroup|AsyncTask|libswift_Concurrency"),
    ("locks and wake-ups", r"pthread_|lll_(un)?lock|futex|sem_(post|wait)|__GI___pthread"),
    ("system calls' wrappers", r"^(_*(libc_|GI_)*)?(write|writev|read|recv|recvfrom|send|sendmsg|epoll_wait|epoll_ctl|accept4?|setsockopt|close|clock_gettime|__vdso.*)\b"),
    ("cryptography", r"CCryptoBoringSSL|sha256|SHA256|HMAC"),
    ("NATS client library", r"libnats|natsConn|natsSub|natsMsg|natsParser"),
    ("JSON library", r"jansson|json_|lex_scan|parse_object|hashtable_"),
    ("Apus: reactor", r"\$s7Reactor"),
    ("Apus: NATS feed", r"\$s(10NATSClient|8NATSFeed|12EventBusNATS|8EventBus)"),
    ("Apus: JSON", r"\$s4JSON"),
    ("Apus: names and subjects", r"\$s6Events"),
    ("Apus: tokens", r"\$s8Identity"),
    ("Apus: protocols (Wire)", r"\$s11GatewayWire"),
    ("Apus: sessions, shards, hub (Session)", r"\$s14GatewaySession"),
    ("Apus: sockets (Edge)", r"\$s11GatewayEdge"),
    ("SwiftNIO", r"\$s(7NIOCore|8NIOPosix|8NIOHTTP1|6NIOTLS|12NIOWebSocket)|NIO"),
    ("Foundation", r"Foundation"),
    ("Swift's library: strings, arrays, dictionaries", r"\$s[Ss]|libswiftCore"),
    ("other C library", r"libc\.so|libc-|ld-linux|libstdc"),
]


SCENARIOS = {
    # Name: what is said of it, what is done before instructions are counted, what is counted, and what it is divided by.
    "fan-out": (
        "fan-out to 200, up to 16 in flight, for each delivery",
        lambda load: load.open(200),
        lambda load: load.publish(400, 16)["deliveries"],
    ),
    "channels": (
        "1,000 channels of one subscriber, up to 200 in flight, for each message",
        lambda load: load.open(1_000, 1_000),
        lambda load: load.publish(10_000, 200)["deliveries"],
    ),
    "connect": (
        "connect, show a token, subscribe to a channel with history, for each connection",
        lambda load: (load.open(200), load.ask("close")),
        lambda load: load.open(1_000)["connections"],
    ),
    "connect-users": (
        "the same, a user each, who gets a channel of their own besides",
        lambda load: (load.open(200), load.ask("close")),
        lambda load: load.open(1_000)["connections"],
    ),
}


def group_of(function):
    return next((name for name, pattern in GROUPS if re.search(pattern, function)), "everything else")


def functions(output):
    """(instructions, function and library) of a callgrind output."""
    text = subprocess.run(
        ["callgrind_annotate", "--inclusive=no", "--threshold=100", "--show-percs=no", output],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for line in text.splitlines():
        match = re.match(r"\s*([\d,]+)\s+(\S.*)$", line)
        if match and "PROGRAM TOTALS" not in line:
            yield int(match.group(1).replace(",", "")), match.group(2)


def profile(name, folder, binary, preloaded):
    title, prepare, counted = SCENARIOS[name]
    output = folder / f"callgrind.{name}"
    valgrind = [
        # With settings of the allocator the program does not begin anew, which would take it out of valgrind's hands.
        "env", f"LD_PRELOAD={preloaded}", "GLIBC_TUNABLES=glibc.malloc.tcache_count=512", "valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={output}", "--quiet", binary,
    ]  # fmt: skip
    users = Apus.OWN_USER if name == "connect-users" else Apus.ONE_USER
    with Apus(folder, users=users, command=valgrind) as system:
        (gateway,) = system.programs
        with Load(system.folder, system.dialect("kept" if name.startswith("connect") else "bench")) as load:
            prepare(load)

            def instrument(switch):
                subprocess.run(
                    ["callgrind_control", f"--instr={switch}", str(gateway.process.pid)], check=True, capture_output=True
                )

            instrument("on")
            count = counted(load)
            instrument("off")
    groups, worst, total = {}, [], 0
    for instructions, function in functions(output):
        total += instructions
        group = group_of(function)
        groups[group] = groups.get(group, 0) + instructions
        worst.append((instructions, function))
    print(f"\n{title}: {total / count:,.0f} instructions\n")
    print("| where | instructions | share |\n| --- | ---: | ---: |")
    for group, instructions in sorted(groups.items(), key=lambda each: -each[1]):
        if instructions / total >= 0.005:
            print(f"| {group} | {instructions / count:,.1f} | {instructions / total:.1%} |")
    return [(instructions / count, instructions / total, function) for instructions, function in sorted(worst)[::-1][:25]]


def main():
    parser = argparse.ArgumentParser(prog="profile-gateway.sh", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="scenario", help=", ".join(SCENARIOS))
    parser.add_argument("--gateway", required=True, type=Path)
    parser.add_argument("--load", required=True)
    parser.add_argument("--preloaded", required=True, help="Benchmarks/Profile/sigsuspend.c, compiled")
    parser.add_argument("--functions", action="store_true", help="the dearest functions too")
    options = parser.parse_args()
    if not shutil.which("valgrind"):
        sys.exit("valgrind is missing: apt-get install valgrind")
    Load.path = options.load
    with tempfile.TemporaryDirectory(prefix="apus-profile-") as name:
        folder = Path(name)
        # Valgrind cannot read Swift's debug information.
        binary = folder / "apus-gateway"
        shutil.copy(options.gateway, binary)
        subprocess.run(["strip", "--strip-debug", binary], check=True)
        for scenario in options.scenarios or SCENARIOS:
            dearest = profile(scenario, folder, binary, options.preloaded)
            if options.functions:
                print()
                for each, share, function in dearest:
                    print(f"{each:12,.1f} {share:6.1%}  {function[:150]}")


main()
