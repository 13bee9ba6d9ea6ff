"""Checks the Dockerfile, the YAML files, the dashboards and the environment example in deploy/ by their form, and that
dashboards and alerts name only metrics that docs/metrics.md explains.

No container engine is needed. What is found is printed as FILE:LINE: problem; the exit status is 1 if there is any.
"""

import json
import pathlib
import re
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
PROGRAMS = {"apus-gateway", "apus-notifier", "apus-worker", "apus-livesync"}
INSTRUCTIONS = set(
    "ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL ONBUILD RUN SHELL STOPSIGNAL USER VOLUME WORKDIR"
    .split())

problems = []


def problem(file, line, text):
    problems.append(f"{file.relative_to(ROOT)}:{line}: {text}")


def instructions(file):
    """The Dockerfile's instructions as (line, NAME, arguments), continuation lines joined, comments left out."""
    pending, start = "", 0
    for number, line in enumerate(file.read_text().splitlines(), 1):
        if not pending and (not line.strip() or line.lstrip().startswith("#")):
            continue
        start = start or number
        pending += line.rstrip("\\") + " "
        if line.endswith("\\"):
            continue
        name, _, arguments = pending.strip().partition(" ")
        yield start, name.upper(), arguments.strip()
        pending, start = "", 0
    if pending:
        problem(file, start, "ends in the middle of an instruction")


def check_dockerfile(file):
    stages, user, entrypoint, arguments = [], None, None, set()
    for line, name, text in instructions(file):
        if name not in INSTRUCTIONS:
            problem(file, line, f"unknown instruction {name}")
        if not stages and name not in ("FROM", "ARG"):
            problem(file, line, f"{name} before the first FROM")
        if name == "ARG":
            arguments.add(text.partition("=")[0])
        if name == "FROM":
            words = text.split()
            image = words[0]
            if ":" not in image and image not in stages:
                problem(file, line, f"{image} names no version")
            if image.endswith(":latest"):
                problem(file, line, f"{image} is another image every day")
            stages.append(words[2] if len(words) == 3 and words[1].upper() == "AS" else str(len(stages)))
            user = entrypoint = None
        if name == "RUN" and "apt-get install" in text:
            for needed in ("--yes", "--no-install-recommends", "rm -rf /var/lib/apt/lists"):
                if needed not in text:
                    problem(file, line, f"apt-get install without {needed}")
        if name in ("COPY", "ADD"):
            words = text.split()
            source_stage = next((w[len("--from="):] for w in words if w.startswith("--from=")), None)
            if source_stage is not None:
                if source_stage not in stages[:-1]:
                    problem(file, line, f"--from={source_stage} names no earlier stage")
                continue
            for source in [w for w in words if not w.startswith("--")][:-1]:
                if not (ROOT / source).exists():
                    problem(file, line, f"{source} is not in the project")
        if name == "USER":
            user = text
        if name in ("ENTRYPOINT", "CMD"):
            entrypoint = text
            try:
                json.loads(text)
            except ValueError:
                problem(file, line, f"{name} in shell form: signals would not reach the program")
        for variable in re.findall(r"\$\{(\w+)\}", text) if name in ("FROM", "COPY") else []:
            if variable not in arguments:
                problem(file, line, f"${{{variable}}} is no ARG")
    if user in (None, "root", "0"):
        problem(file, 1, "the last stage runs as root")
    if entrypoint is None:
        problem(file, 1, "the last stage has no ENTRYPOINT")


def check_compose(file, document):
    services = document.get("services", {})
    built = set()
    for name, service in services.items():
        if "build" in service:
            dockerfile = (file.parent / service["build"]["context"] / service["build"]["dockerfile"]).resolve()
            if not dockerfile.exists():
                problem(file, 1, f"{name}: {dockerfile} does not exist")
            built.add(service["build"]["args"]["PROGRAM"])
            if int(service.get("stop_grace_period", "0s").rstrip("s")) <= 30:
                problem(file, 1, f"{name}: stop_grace_period must exceed shutdown.timeout, 30 s")
        elif ":" not in service.get("image", ""):
            problem(file, 1, f"{name}: neither built nor an image with a version")
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.endswith((".yaml", ".yml", ".conf")) and not (file.parent / source).exists():
                problem(file, 1, f"{name}: {source} does not exist")
            if not source.startswith((".", "/")) and source not in document.get("volumes", {}):
                problem(file, 1, f"{name}: volume {source} is not declared")
        for other in service.get("depends_on", []):
            if other not in services:
                problem(file, 1, f"{name} depends on {other}, which is no service")
    for program in PROGRAMS - built:
        problem(file, 1, f"{program} is missing")


def check_environment(file):
    for number, line in enumerate(file.read_text().splitlines(), 1):
        if line and not re.match(r"#|APUS_[A-Z0-9_]+=\S", line):
            problem(file, number, "neither a comment nor APUS_NAME=value")


def documented_metrics():
    """Every metric of docs/metrics.md with its kind."""
    metrics = {}
    for line in (ROOT / "docs" / "metrics.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) >= 4 and cells[1].startswith("`apus_"):
            for name in re.findall(r"`(apus_\w+)", cells[1]):
                metrics[name] = cells[2]
    return metrics


def check_expression(file, place, expression, metrics):
    """Every metric that a query names must be one that is documented, in a form that its kind has."""
    series = re.findall(r"\bapus_\w+", expression)
    if not series:
        problem(file, 1, f"{place}: names no metric of Apus")
    for name in series:
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        if metrics.get(name) in ("counter", "gauge") or metrics.get(base) == "histogram" and base != name:
            continue
        problem(file, 1, f"{place}: {name} is not in docs/metrics.md")
    if expression.count("(") != expression.count(")") or expression.count("{") != expression.count("}"):
        problem(file, 1, f"{place}: brackets do not match")
    for name in re.findall(r"(?:rate|increase)\((\w+)", expression):
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        if metrics.get(name) != "counter" and metrics.get(base) != "histogram":
            problem(file, 1, f"{place}: the rate of {name}, which is no counter")


def check_dashboard(file, metrics):
    try:
        dashboard = json.loads(file.read_text())
    except ValueError as error:
        return problem(file, getattr(error, "lineno", 1), f"not JSON: {error}")
    identifiers = [panel["id"] for panel in dashboard["panels"]]
    if len(set(identifiers)) < len(identifiers):
        problem(file, 1, "two panels have the same id")
    for panel in dashboard["panels"]:
        targets = panel.get("targets", [])
        if panel["type"] != "row" and not targets:
            problem(file, 1, f"{panel['title']}: shows nothing")
        for target in targets:
            check_expression(file, panel["title"], target["expr"], metrics)
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            check_expression(file, f"variable {variable['name']}", variable["query"]["query"], metrics)


def check_alerts(file, document, metrics):
    for group in document["groups"]:
        for rule in group["rules"]:
            check_expression(file, rule["alert"], rule["expr"], metrics)
            if "summary" not in rule.get("annotations", {}) or "severity" not in rule.get("labels", {}):
                problem(file, 1, f"{rule['alert']}: without summary or severity")


documents = {}
for path in sorted([*DEPLOY.rglob("*.yaml"), *DEPLOY.rglob("*.yml")]):
    try:
        documents[path.name] = list(yaml.safe_load_all(path.read_text()))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem(path, mark.line + 1 if mark else 1, f"not YAML: {getattr(error, 'problem', error)}")
check_dockerfile(DEPLOY / "Dockerfile")
if "compose.yaml" in documents:
    check_compose(DEPLOY / "compose.yaml", documents["compose.yaml"][0])
check_environment(DEPLOY / "env.example")
metrics = documented_metrics()
dashboards = sorted((DEPLOY / "grafana").glob("*.json"))
for path in dashboards:
    check_dashboard(path, metrics)
if "prometheus-alerts.yml" in documents:
    check_alerts(DEPLOY / "prometheus-alerts.yml", documents["prometheus-alerts.yml"][0], metrics)

print("\n".join(problems) or f"Dockerfile, {len(documents)} YAML files, {len(dashboards)} dashboard and env.example are in order")
sys.exit(1 if problems else 0)
