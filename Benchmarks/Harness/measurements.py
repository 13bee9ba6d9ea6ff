"""What is measured. Each measurement is a function that takes the context and records figures of systems."""

import re
import time

from load import Load
from programs import Broken
from rounds import every_system, interleave, routes, summary
from systems import Apus, NATSServer
from tasks import task_latency, task_memory, task_reports, tasks


def fan_out(context, subscribers, channels, window):
    with routes(context, every_system(context)) as opened:

        def prepare(route):
            route.load.open(subscribers, channels)
            time.sleep(0.3)
            trial = route.load.publish(window * 2, window)
            if trial["stalled"]:
                raise Broken("overloaded: nothing came for ten seconds")
            # Rounds of about as many seconds.
            rate = trial["deliveries"] / trial["seconds"]
            each = subscribers / channels
            route.messages = max(int(rate * context.seconds / each), window)

        def round_of(route):
            answer = route.fan_out(("publish", route.messages, window))
            if answer["stalled"]:
                raise Broken(f"overloaded: {answer['lost']} deliveries are missing, {answer['closed']} connections were closed")

        for route in interleave(context, opened, prepare, round_of):
            context.record(route.key, route.label, route.figures())


def fan_out_1000(context):
    fan_out(context, 1_000, 1, 64)


def fan_out_10000(context):
    fan_out(context, 10_000, 1, 16)


def channels_10000(context):
    fan_out(context, 10_000, 10_000, 2_000)


def latency(context):
    with routes(context, every_system(context)) as opened:

        def prepare(route):
            route.load.open(1_000)
            time.sleep(0.3)
            route.load.ask("pace", 20, 0.5)

        for route in interleave(
            context, opened, prepare, lambda route: route.fan_out(("pace", 20, max(context.seconds, 2)))
        ):
            context.record(route.key, route.label, route.figures())


def connect(context):
    """Opens connections until a subscription of each is confirmed; they are closed, and it begins anew."""
    variants = [variant for variant in every_system(context) if variant[0] != Apus.name]
    for users, label in ((Apus.ONE_USER, "one user"), (Apus.OWN_USER, "a user each")):
        system = Apus(context.folder, users=users)
        variants.append((f"apus, {label}", f"Apus, {label}", system, lambda each: each.dialect("kept")))
    count = 5_000

    with routes(context, variants) as opened:

        def prepare(route):
            route.load.open(500)
            route.load.ask("close")

        def round_of(route):
            answer = route.timed(("open", count, 1, 64))
            route.samples.append(
                {
                    "rate": count / answer["seconds"],
                    "cpu": answer["cpu"] / count * 1e6,
                    "other_cpu": answer["other_cpu"] / count * 1e6,
                    "load_cpu": answer["load_cpu"] / count * 1e6,
                }
            )
            route.load.ask("close")
            time.sleep(0.5)

        for route in interleave(context, opened, prepare, round_of):
            context.record(route.key, route.label, route.figures())


IDLE = 19_500  # a process may hold 20,000 descriptors here


def growth(system, load, count, channels=1):
    """Bytes of process memory for each of so many idle connections."""
    load.open(100, channels)
    load.ask("close")
    time.sleep(1)
    before = system.memory()
    load.open(count, channels)
    load.ask("idle", 1)
    after = system.memory()
    return {key: (after[key] - before[key]) / count for key in after}


def memory(context):
    most = IDLE if context.full else 10_000
    for kind in context.systems:
        if kind is Apus:
            continue
        try:
            with kind(context.folder) as system, Load(system.folder, system.dialect()) as load:
                context.record(kind.name, kind.label, growth(system, load, min(most, kind.most_connections)))
        except Broken as problem:
            context.left_out(kind.label, problem)

    def of_apus(users, channels=1, **dialect):
        with Apus(context.folder, users=users) as system, Load(system.folder, system.dialect(**dialect)) as load:
            return growth(system, load, most, channels)

    one = of_apus(Apus.NOBODY)
    context.record("apus", "Apus, one subscription", one)

    def difference(key, label, more, divisor=1):
        context.record(key, label, {name: (more[name] - one[name]) / divisor for name in one})

    difference("apus, subscription", "Apus, each further subscription", of_apus(Apus.NOBODY, further=10), 10)
    difference("apus, channel", "Apus, each channel of one subscriber", of_apus(Apus.NOBODY, channels=most))
    if context.full:
        context.record("apus, one user", "Apus, and the user's channel, one user", of_apus(Apus.ONE_USER))
        context.record("apus, own user", "Apus, and the user's channel, a user each", of_apus(Apus.OWN_USER))


def churn(context):
    """Memory after many connections came and went, beside what it was after the first of them."""
    with Apus(context.folder, users=Apus.OWN_USER) as system, Load(system.folder, system.dialect("kept")) as load:

        def come_and_go():
            opened = load.open(IDLE)
            at_most = system.memory()["rss"]
            load.ask("close")
            time.sleep(6)  # longer than a client's presence lingers
            return opened, at_most, system.memory()["rss"]

        start = system.memory()["rss"]
        _, highest, first = come_and_go()
        for _ in range(9):
            _, highest, last = come_and_go()
        context.record(
            "apus", "Apus", {"start": start, "highest": highest, "after_first": first, "after_tenth": last}
        )


def idle(context):
    """What connections cost that only answer pings."""
    seconds = 100 if context.full else 50
    for kind in context.systems:
        if kind not in (Apus, NATSServer):
            continue
        with kind(context.folder) as system, Load(system.folder, system.dialect()) as load:
            load.open(IDLE)
            load.ask("idle", 2)
            cpu, other = system.cpu(), system.other_cpu()
            answer = load.ask("idle", seconds)
            context.record(
                kind.name,
                kind.label,
                {
                    "core": (system.cpu() - cpu) / seconds,
                    "other_core": (system.other_cpu() - other) / seconds,
                    "pings": answer["pings"] / seconds,
                },
            )


def history(context):
    """Fan-out to 1,000 with history and without."""
    variants = [
        (f"apus, {key}", f"Apus, {key} history", Apus(context.folder), lambda system, name=name: system.dialect(name))
        for key, name in (("without", "bench"), ("with", "kept"))
    ]
    with routes(context, variants) as opened:

        def prepare(route):
            route.load.open(1_000)
            time.sleep(0.3)
            trial = route.load.publish(256, 64)
            route.messages = max(int(trial["deliveries"] / trial["seconds"] * context.seconds / 1_000), 256)

        for route in interleave(
            context, opened, prepare, lambda route: route.fan_out(("publish", route.messages, 64))
        ):
            context.record(route.key, route.label, route.figures())


def tls(context):
    """Fan-out to 1,000, connections and their memory with TLS and without."""
    variants = [
        (
            f"apus, {key}",
            f"Apus, {key} TLS",
            Apus(context.folder, users=Apus.NOBODY, tls=tls),
            lambda system: system.dialect(),
        )
        for key, tls in (("without", False), ("with", True))
    ]
    with routes(context, variants) as opened:

        def prepare(route):
            route.extra["pss"] = growth(route.system, route.load, 5_000)["pss"]
            route.load.ask("close")
            opening = route.timed(("open", 1_000, 1, 64))
            route.extra["connect_cpu"] = opening["cpu"] / 1_000 * 1e6
            trial = route.load.publish(256, 64)
            route.messages = max(int(trial["deliveries"] / trial["seconds"] * context.seconds / 1_000), 256)

        for route in interleave(
            context, opened, prepare, lambda route: route.fan_out(("publish", route.messages, 64))
        ):
            context.record(route.key, route.label, route.figures())


def recovery(context):
    """A thousand clients come back at once, having missed a hundred messages each."""
    samples = []
    with Apus(context.folder) as system:
        for _ in range(context.rounds):
            with Load(system.folder, system.dialect("kept")) as load:
                load.open(1_000)
                load.publish(10, 10)
                load.ask("close")
                position = load.open(1)["answer"]
                published = load.publish(90, 10)["published"]
            epoch = re.search(r'"epoch":"([^"]+)"', position).group(1)
            offset = int(re.search(r'"offset":(\d+)', position).group(1))
            dialect = system.dialect("kept", recover=(epoch, offset))
            with Load(system.folder, dialect) as load:
                cpu = system.cpu()
                opened = load.open(1_000, 1, 1_000, published - 90)
                current = load.ask("expect", published - 1)
                faults = sum(each[key] for each in (opened, current) for key in ("lost", "repeated", "closed"))
                recovered = opened["deliveries"] + current["deliveries"]
                samples.append(
                    {
                        "seconds": opened["seconds"] + current["seconds"],
                        "cpu": (system.cpu() - cpu) / 1_000 * 1e6,
                        "deliveries": recovered,
                        "faults": faults + abs(90_000 - recovered) + current["stalled"],
                    }
                )
    context.record("apus", "Apus", summary(samples))


GATEWAY_SUBSCRIBERS = 8_000


def gateway_counts(context):
    """Several gateways on one NATS server, for the same number of subscribers in all: more sockets alone cost more for
    each, since less of them stays in the processor's caches."""
    return [
        (
            f"apus, {count}",
            f"Apus, {count} gateway{'s' * (count > 1)}",
            Apus(context.folder, gateways=count),
            lambda system: system.dialect(),
        )
        for count in (1, 2, 4, 8)
    ]


# More rounds than elsewhere: what is looked for is smaller than what one round differs from the next.
GATEWAY_ROUNDS = 12


def gateways(context):
    """As fast as they can: a closed loop, so that each of several gateways on one core gets its messages in smaller pieces
    than one gateway does, and writes more often."""
    with routes(context, gateway_counts(context)) as opened:

        def prepare(route):
            route.load.open(GATEWAY_SUBSCRIBERS)
            time.sleep(0.3)
            trial = route.load.publish(128, 64)
            rate = trial["deliveries"] / trial["seconds"] / GATEWAY_SUBSCRIBERS
            route.messages = max(int(rate * context.seconds), 128)

        for route in interleave(
            context, opened, prepare, lambda route: route.fan_out(("publish", route.messages, 64)), GATEWAY_ROUNDS
        ):
            context.record(route.key, route.label, route.figures())


def gateways_paced(context):
    """The same work for all: one message after the other, at a rate that leaves time between."""
    with routes(context, gateway_counts(context)) as opened:

        def prepare(route):
            route.load.open(GATEWAY_SUBSCRIBERS)
            time.sleep(0.3)
            route.load.ask("pace", 5, 1)

        for route in interleave(
            context, opened, prepare, lambda route: route.fan_out(("pace", 5, 2)), GATEWAY_ROUNDS
        ):
            context.record(route.key, route.label, route.figures())


def unwanted(context):
    """What a gateway spends on messages of channels that none of its clients wants."""
    with Apus(context.folder, gateways=2) as system, Load(system.folder, system.dialect(gateway=0)) as load:
        load.open(10)
        load.publish(1_000, 500)
        busy, bystander = system.programs
        before, at_start = bystander.cpu(), busy.cpu()
        answer = load.publish(200_000, 500)
        context.record(
            "apus",
            "Apus",
            {
                "messages": 200_000,
                "bystander_core": (bystander.cpu() - before) / answer["seconds"],
                "busy_core": (busy.cpu() - at_start) / answer["seconds"],
            },
        )


def connections_150000(context):
    """Eight gateways with 18,750 connections each, and a message to all of them."""
    count, each = 8, 18_750
    with Apus(context.folder, gateways=count, users=Apus.NOBODY) as system:
        before = system.memory()
        loads = [Load(system.folder, system.dialect(gateway=index)) for index in range(count)]
        start = time.monotonic()
        for load in loads:
            load.open(each)
        seconds = time.monotonic() - start
        after = system.memory()
        for load in loads[1:]:
            load.tell("expect", 0)
        sent = loads[0].publish(1, 1)
        arrived = [load.answer() for load in loads[1:]]
        context.record(
            "apus",
            "Apus",
            {
                "connections": sum(answer["connections"] for answer in [sent, *arrived]),
                "seconds": seconds,
                "pss": (after["pss"] - before["pss"]) / (count * each),
                "total": after["pss"],
                "reached": sent["deliveries"] + sum(answer["deliveries"] for answer in arrived),
                "faults": sum(answer["lost"] + answer["stalled"] for answer in [sent, *arrived]),
            },
        )
        for load in loads:
            load.program.stop()


# Name, what the table says of it, the function, and whether it belongs to the quick subset.
ALL = [
    ("fan-out-1000", "fan-out to 1,000, up to 64 in flight", fan_out_1000, True),
    ("fan-out-10000", "fan-out to 10,000, up to 16 in flight", fan_out_10000, True),
    ("channels-10000", "10,000 channels of one subscriber, up to 2,000 in flight", channels_10000, True),
    ("latency", "20,000 deliveries a second to 1,000", latency, True),
    ("connect", "connect, show a token, subscribe to a channel with history", connect, True),
    ("memory", "memory of idle connections", memory, True),
    ("history", "fan-out to 1,000 with history and without", history, True),
    ("recovery", "1,000 clients come back at once and recover 90 messages each", recovery, True),
    ("tasks", "tasks that do nothing, from the queue to their ends, one worker with 8 places", tasks, True),
    ("task-reports", "progress reports of 8 tasks at once", task_reports, True),
    ("task-latency", "from submitting a task until it has begun", task_latency, True),
    ("task-memory", "memory of a working worker with many queued tasks", task_memory, True),
    ("tls", "fan-out to 1,000, connections and their memory, with TLS and without", tls, False),
    ("idle", f"{IDLE:,} idle connections, a ping every 25 s", idle, False),
    ("churn", f"{IDLE:,} connections come and go ten times", churn, False),
    ("gateways", "gateways on one NATS server, 8,000 subscribers in all, up to 64 in flight", gateways, False),
    ("gateways-paced", "the same, five messages a second", gateways_paced, False),
    ("unwanted", "messages that nobody at a gateway wants", unwanted, False),
    ("connections-150000", "150,000 connections at 8 gateways", connections_150000, False),
]
