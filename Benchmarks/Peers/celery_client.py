"""The side of Celery that submits: `submit COUNT ARGUMENTS`, `reports COUNT EACH`, `latency COUNT PAUSE`."""

import json
import sys
import time

from celery_app import clock, noop, report


def submit(count):
    for _ in range(int(count)):
        noop.delay()


def reports(count, each):
    """Prints how many reports a second were made by so many tasks at once."""
    results = [report.delay(int(each)) for _ in range(int(count))]
    times = [result.get(timeout=600) for result in results]
    print(int(count) * int(each) / (max(end for _, end in times) - min(begun for begun, _ in times)))


def latency(count, pause):
    """Prints the seconds from submitting to the beginning of each task."""
    found = []
    for _ in range(int(count)):
        start = time.time()
        found.append(clock.delay().get(timeout=60) - start)
        time.sleep(float(pause))
    print(json.dumps(found))


{"submit": submit, "reports": reports, "latency": latency}[sys.argv[1]](*sys.argv[2:])
