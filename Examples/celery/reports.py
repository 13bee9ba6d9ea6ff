"""A Celery application like any other; its tasks' progress reaches their users' sockets by Apus."""

import os
import time

import celery
from apus_progress import WithProgress

app = celery.Celery("reports")
app.config_from_object(os.environ.get("CELERY_CONFIG_MODULE", "celeryconfig"))


@app.task(base=WithProgress, bind=True, max_retries=2)
def report(self, pages, user, failures=0):
    for page in range(1, pages + 1):
        time.sleep(0.11)  # the work
        self.progress(100 * page / pages, f"page {page} of {pages}")
    if self.request.retries < failures:
        raise self.retry(exc=RuntimeError("the printer is busy"), countdown=0)
    return {"pages": pages}
