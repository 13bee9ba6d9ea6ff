"""Bar charts as SVG, drawn here so that nothing need be installed for them."""

from html import escape

from report import figure, of

BAR, GAP, LEFT, WIDTH, RIGHT, TITLE = 18, 7, 250, 420, 90, 34
OURS, THEIRS, TEXT, FAINT = "#d1495b", "#8d99ae", "#222222", "#666666"

# File, then its panels: measurement, figure, title, how a value is written.
PLOTS = {
    "cpu-per-delivery": [
        ("fan-out-1000", "cpu", "µs of CPU for each delivery: fan-out to 1,000, up to 64 in flight", "{:.2f}"),
        ("fan-out-10000", "cpu", "to 10,000, up to 16 in flight", "{:.2f}"),
        ("channels-10000", "cpu", "10,000 channels of one subscriber", "{:.1f}"),
    ],
    "rate": [
        ("fan-out-1000", "rate", "deliveries a second, server on one core: fan-out to 1,000", "{:,.0f}"),
        ("fan-out-10000", "rate", "to 10,000", "{:,.0f}"),
        ("channels-10000", "rate", "10,000 channels of one subscriber", "{:,.0f}"),
    ],
    "latency": [
        ("latency", "p50", "ms from publish to read, median, at 20,000 deliveries a second to 1,000", "{:.1f}"),
        ("latency", "p99", "the same, 99th percentile", "{:.1f}"),
    ],
    "connections": [
        ("connect", "cpu", "µs of CPU to connect and subscribe; Apus checks a token besides", "{:,.0f}"),
        ("memory", "pss", "bytes of process memory for an idle connection", "{:,.0f}"),
    ],
}


def _text(x, y, content, size=13, anchor="start", colour=TEXT, weight="normal"):
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}" '
        f'font-weight="{weight}">{escape(content)}</text>'
    )


def _panel(top, title, bars, form):
    """SVG of one panel, and where it ends; `bars` are (label, value, whether it is ours)."""
    largest = max(value for _, value, _ in bars)
    parts = [_text(12, top + 20, title, 14, weight="bold")]
    y = top + TITLE
    for label, value, is_ours in bars:
        width = max(value / largest * WIDTH, 1)
        parts.append(_text(LEFT - 10, y + BAR - 4, label, anchor="end"))
        parts.append(
            f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2" fill="{OURS if is_ours else THEIRS}"/>'
        )
        parts.append(_text(LEFT + width + 8, y + BAR - 4, form.format(value)))
        y += BAR + GAP
    return "\n".join(parts), y + 10


def _bars(records, measurement, name):
    bars = []
    for record in of(records, measurement):
        value = record["figures"].get(name)
        # The parts of our own memory are in the table; bars compare systems.
        if value is not None and not (measurement == "memory" and record["system"].startswith("apus,")):
            bars.append((record["label"], value, record["system"].startswith("apus")))
    return bars


def draw(records, panels, footer):
    """One picture, or None unless every panel has a peer to compare with."""
    parts, top = [], 8
    for measurement, name, title, form in panels:
        if figure(records, measurement, "nats-server", name) is None:
            return None
        part, top = _panel(top, title, _bars(records, measurement, name), form)
        parts.append(part)
    parts.append(_text(12, top + 8, footer, 11, colour=FAINT))
    width, height = LEFT + WIDTH + RIGHT, top + 20
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="system-ui, sans-serif">\n<rect width="{width}" height="{height}" fill="#ffffff"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def write(records, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name, panels in PLOTS.items():
        picture = draw(records, panels, records[0]["machine"])
        if picture:
            (folder / f"{name}.svg").write_text(picture, encoding="utf8")
            print(f"plot: {folder / name}.svg")
