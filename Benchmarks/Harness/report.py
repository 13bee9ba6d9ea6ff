"""Tables of what was measured, with ratios to the peer of each measurement, and the targets."""

KIB = 1024

# Column, heading, how a figure is written, and whether its ratio to the peer is shown.
COLUMNS = {
    "rate": ("per second", "{:,.0f}", True),
    "cpu": ("CPU µs each", "{:.3f}", True),
    "other_cpu": ("NATS µs", "{:.3f}", False),
    "load_cpu": ("load µs", "{:.3f}", False),
    "p50": ("p50 ms", "{:.2f}", True),
    "p99": ("p99 ms", "{:.2f}", True),
    "pss": ("bytes each", "{:,.0f}", True),
    "rss": ("resident", "{:,.0f}", False),
    "core": ("of a core", "{:.2%}", True),
    "other_core": ("NATS", "{:.2%}", False),
    "pings": ("pings/s", "{:,.0f}", False),
    "connect_cpu": ("CPU µs to connect", "{:.0f}", True),
    "faults": ("faults", "{:.0f}", False),
    "seconds": ("seconds", "{:.3f}", False),
    "start": ("start MB", "{:.1f}", False),
    "highest": ("highest MB", "{:.1f}", False),
    "after_first": ("after 1st MB", "{:.1f}", False),
    "after_tenth": ("after 10th MB", "{:.1f}", False),
    "messages": ("messages", "{:,.0f}", False),
    "bystander_core": ("bystander's core", "{:.2%}", False),
    "busy_core": ("busy one's core", "{:.2%}", False),
    "connections": ("connections", "{:,.0f}", False),
    "reached": ("reached", "{:,.0f}", False),
}
MEGABYTES = {"start", "highest", "after_first", "after_tenth"}

# Ratios are to this system, if it was measured, else to the first one.
REFERENCE = {
    "channels-10000": "node-ws",
    "history": "apus, without",
    "tls": "apus, without",
    "gateways": "apus, 1",
    "gateways-paced": "apus, 1",
    "tasks": "celery",
    "task-reports": "celery",
    "task-latency": "celery",
}


def of(records, measurement):
    return [record for record in records if record.get("measurement") == measurement and "figures" in record]


def figure(records, measurement, system, name):
    for record in of(records, measurement):
        if record["system"] == system:
            return record["figures"].get(name)
    return None


def _text(name, value):
    if value is None:
        return ""
    return COLUMNS[name][1].format(value / 1e6 if name in MEGABYTES else value)


def print_measurement(measurement, records):
    measured = of(records, measurement)
    if not measured:
        return
    wanted = REFERENCE.get(measurement, "nats-server")
    reference = next((each["figures"] for each in measured if each["system"] == wanted), None)
    names = [name for name in COLUMNS if any(name in each["figures"] for each in measured)]
    rows = [["", *(COLUMNS[name][0] for name in names)]]
    for each in measured:
        row = [each["label"]]
        for name in names:
            value = each["figures"].get(name)
            text = _text(name, value)
            if COLUMNS[name][2] and reference and value and reference.get(name) and len(measured) > 1:
                text += f" ({value / reference[name]:.2f})"
            row.append(text)
        rows.append(row)
    widths = [max(len(row[column]) for row in rows) for column in range(len(names) + 1)]
    for row in rows:
        print("  ".join(text.ljust(width) if at == 0 else text.rjust(width) for at, (text, width) in enumerate(zip(row, widths))).rstrip())
    if reference:
        print(f"(in parentheses: ratio to {next(each['label'] for each in measured if each['system'] == wanted)})")


def _ratio(measurement, system, name, peer):
    def of_records(records):
        mine, theirs = (figure(records, measurement, each, name) for each in (system, peer))
        return mine / theirs if mine is not None and theirs else None

    return of_records


def _growth(system):
    def of_records(records):
        few, many = (figure(records, "task-memory", each, "highest") for each in ("apus, 1000", system))
        return many / few if few and many else None

    return of_records


def _value(measurement, system, name):
    return lambda records: figure(records, measurement, system, name)


def _scaled(measurement, system, name, scale):
    def of_records(records):
        value = figure(records, measurement, system, name)
        return None if value is None else value * scale

    return of_records


# Centrifuge's Go library has no package here. Measured elsewhere on such a machine, beside the same nats-server:
# its CPU per delivery was 3.51 times that (2.42 µs to 0.69 µs).
CENTRIFUGE_TO_NATS = 2.42 / 0.69


def _of_centrifuge(records):
    ratio = _ratio("fan-out-1000", "apus", "cpu", "nats-server")(records)
    return None if ratio is None else ratio / CENTRIFUGE_TO_NATS


# The one table: heading, measurement, figure, how it is written.
SUMMARY = [
    ("to 1,000: per second", "fan-out-1000", "rate", "{:,.0f}"),
    ("CPU µs", "fan-out-1000", "cpu", "{:.2f}"),
    ("to 10,000: per second", "fan-out-10000", "rate", "{:,.0f}"),
    ("CPU µs", "fan-out-10000", "cpu", "{:.2f}"),
    ("10,000 channels: CPU µs", "channels-10000", "cpu", "{:.1f}"),
    ("p50 ms", "latency", "p50", "{:.1f}"),
    ("p99 ms", "latency", "p99", "{:.1f}"),
    ("connects per second", "connect", "rate", "{:,.0f}"),
    ("CPU µs", "connect", "cpu", "{:.0f}"),
    ("bytes per connection", "memory", "pss", "{:,.0f}"),
]
# Under which name a measurement has the gateway where there are several variants of it.
APUS_IN = {"connect": "apus, one user"}


def summary_table(records, versions):
    """Markdown: a row for each system, ratios to nats-server's WebSocket in parentheses."""
    columns = [column for column in SUMMARY if of(records, column[1])]
    if not columns:
        return ""
    lines = [
        "| | " + " | ".join(heading for heading, *_ in columns) + " |",
        "| --- |" + " ---: |" * len(columns),
    ]
    for system, label in versions.items():
        cells = []
        for _, measurement, name, form in columns:
            mine = figure(records, measurement, APUS_IN.get(measurement, system) if system == "apus" else system, name)
            peer = figure(records, measurement, "nats-server", name)
            text = "–" if mine is None else form.format(mine)
            cells.append(text + (f" ({mine / peer:.2f})" if mine is not None and peer and system != "nats-server" else ""))
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


# What is aimed at: text, how it is found, whether at most or at least, and the bound.
TARGETS = [
    ("fan-out to 1,000: CPU, of nats-server's", _ratio("fan-out-1000", "apus", "cpu", "nats-server"), "≤", 0.75),
    ("fan-out to 1,000: CPU, of Centrifuge's (measured elsewhere)", _of_centrifuge, "≤", 0.25),
    ("fan-out to 1,000: rate, of nats-server's", _ratio("fan-out-1000", "apus", "rate", "nats-server"), "≥", 1.2),
    ("fan-out to 10,000: CPU, of nats-server's", _ratio("fan-out-10000", "apus", "cpu", "nats-server"), "≤", 0.5),
    ("10,000 channels: CPU, of node ws's", _ratio("channels-10000", "apus", "cpu", "node-ws"), "≤", 0.8),
    ("latency: p50, of nats-server's", _ratio("latency", "apus", "p50", "nats-server"), "≤", 1.0),
    ("latency: p99, of nats-server's", _ratio("latency", "apus", "p99", "nats-server"), "≤", 1.0),
    ("connect, one user: per second", _value("connect", "apus, one user", "rate"), "≥", 10_000),
    ("connect, one user: CPU µs", _value("connect", "apus, one user", "cpu"), "≤", 90),
    ("memory of a connection with a subscription, bytes", _value("memory", "apus", "pss"), "≤", 3_000),
    ("memory of a further subscription, bytes", _value("memory", "apus, subscription", "pss"), "≤", 200),
    ("memory of a channel with a subscriber, bytes", _value("memory", "apus, channel", "pss"), "≤", 1_000),
    ("19,500 idle connections: % of a core", _scaled("idle", "apus", "core", 100), "≤", 2),
    ("history: CPU, of that without", _ratio("history", "apus, with", "cpu", "apus, without"), "≤", 1.1),
    ("recovery of 1,000: seconds until all are current", _value("recovery", "apus", "seconds"), "≤", 1),
    ("2 gateways: CPU, of one's, message by message", _ratio("gateways-paced", "apus, 2", "cpu", "apus, 1"), "≤", 1.1),
    ("2 gateways: CPU, of one's, in a closed loop", _ratio("gateways", "apus, 2", "cpu", "apus, 1"), "≤", 1.1),
    ("4 gateways: CPU, of one's, message by message", _ratio("gateways-paced", "apus, 4", "cpu", "apus, 1"), "≤", 1.1),
    ("4 gateways: CPU, of one's, in a closed loop", _ratio("gateways", "apus, 4", "cpu", "apus, 1"), "≤", 1.1),
    ("8 gateways: CPU, of one's, message by message", _ratio("gateways-paced", "apus, 8", "cpu", "apus, 1"), "≤", 1.1),
    ("8 gateways: CPU, of one's, in a closed loop", _ratio("gateways", "apus, 8", "cpu", "apus, 1"), "≤", 1.1),
    ("no-op tasks per second, of Celery's prefork worker's", _ratio("tasks", "apus", "rate", "celery"), "≥", 20),
    ("progress reports per second, of Celery's", _ratio("task-reports", "apus", "rate", "celery"), "≥", 20),
    ("latency of tasks: p50, of Celery's", _ratio("task-latency", "apus", "p50", "celery"), "≤", 1),
    ("memory with 100,000 queued tasks, of that with 1,000", _growth("apus, 100000"), "≤", 1.1),
    ("memory with 1,000,000 queued tasks, of that with 1,000", _growth("apus, 1000000"), "≤", 1.1),
    ("150,000 connections: how many got the message", _value("connections-150000", "apus", "reached"), "≥", 150_000),
]


def print_targets(records):
    rows = [(text, find(records), sign, bound) for text, find, sign, bound in TARGETS]
    rows = [row for row in rows if row[1] is not None]
    if not rows:
        return
    print("\n== targets")
    width = max(len(text) for text, *_ in rows)
    for text, value, sign, bound in rows:
        holds = value <= bound if sign == "≤" else value >= bound
        number = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"
        print(f"{text.ljust(width)}  {number.rjust(8)}  {sign} {bound:<8,g} {'holds' if holds else 'FALLS SHORT'}")


def has_faults(records):
    """Whether messages to the gateway's subscribers were lost, repeated or out of order."""
    return any(
        record["figures"].get("faults") for record in records if (record.get("system") or "").startswith("apus")
    )
