"""Rounds, interleaved over the systems, so that whatever else the machine does is spread over all of them."""

from contextlib import ExitStack, contextmanager
from statistics import median

from load import Load
from programs import Broken


class Route:
    """A running system and the load generator that speaks with it."""

    def __init__(self, key, label, system, load):
        self.key, self.label, self.system, self.load = key, label, system, load
        self.samples = []
        self.extra = {}  # figures that are not of rounds

    def figures(self):
        return summary(self.samples) | self.extra

    def timed(self, command):
        """Carries out a command of the load generator and says what it cost the server."""
        cpu, other = self.system.cpu(), self.system.other_cpu()
        answer = self.load.ask(*command)
        answer["cpu"] = self.system.cpu() - cpu
        answer["other_cpu"] = self.system.other_cpu() - other
        return answer

    def fan_out(self, command):
        answer = self.timed(command)
        deliveries = max(answer["deliveries"], 1)
        self.samples.append(
            {
                "rate": answer["deliveries"] / answer["seconds"],
                "cpu": answer["cpu"] / deliveries * 1e6,
                "other_cpu": answer["other_cpu"] / deliveries * 1e6,
                "load_cpu": answer["load_cpu"] / deliveries * 1e6,
                "p50": answer["p50"],
                "p99": answer["p99"],
                "deliveries": answer["deliveries"],
                "faults": answer["lost"] + answer["repeated"] + answer["closed"] + answer["stalled"],
            }
        )
        return answer


def summary(samples):
    """The median of each figure; deliveries and faults are added up."""
    figures = {key: median(sample[key] for sample in samples) for key in samples[0]}
    for key in ("deliveries", "faults"):
        if key in figures:
            figures[key] = sum(sample[key] for sample in samples)
    return figures


@contextmanager
def routes(context, variants):
    """Starts each variant (key, label, a system, its dialect as a function of the system), without those that fail."""
    with ExitStack() as stack:
        opened = []
        for key, label, system, dialect in variants:
            try:
                stack.enter_context(system)
                load = stack.enter_context(Load(system.folder, dialect(system)))
                opened.append(Route(key, label, system, load))
            except Broken as problem:
                context.left_out(label, problem)
        yield opened


def every_system(context, dialect=lambda system: system.dialect()):
    return [(kind.name, kind.label, kind(context.folder), dialect) for kind in context.systems]


def interleave(context, opened, prepare, round_of, rounds=None):
    """`prepare` for each, then `rounds` (the context's if none are given) of `round_of` in turns; a system that breaks is left
    out and named."""
    alive = []
    for route in opened:
        try:
            prepare(route)
            alive.append(route)
        except Broken as problem:
            context.left_out(route.label, problem)
    for turn in range(rounds or context.rounds):
        for route in alive if turn % 2 == 0 else alive[::-1]:
            if route not in opened:
                continue
            try:
                round_of(route)
            except Broken as problem:
                context.left_out(route.label, problem)
                opened.remove(route)
    return [route for route in alive if route in opened and route.samples]
