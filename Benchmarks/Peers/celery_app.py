"""Tasks for Celery: its prefork worker on Redis, as its documentation sets it up, with results kept in Redis."""

import os
import time

from celery import Celery

app = Celery("bench", broker=os.environ["APUS_BENCH_BROKER"], backend=os.environ["APUS_BENCH_RESULTS"])
# What Apus always does: a task that has begun says so, and one whose worker is lost is done again.
late = os.environ.get("APUS_BENCH_LATE") == "1"
app.conf.update(broker_connection_retry_on_startup=True, task_track_started=late, task_acks_late=late)


@app.task(name="noop")
def noop():
    return None


@app.task(name="report", bind=True)
def report(self, count):
    begun = time.time()
    for number in range(count):
        self.update_state(state="PROGRESS", meta={"current": number, "total": count})
    return [begun, time.time()]


@app.task(name="clock")
def clock():
    return time.time()
