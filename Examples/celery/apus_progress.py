"""What becomes of a Celery task, on the sockets of its user: `@app.task(base=WithProgress, bind=True)`.

The task's keyword argument `user` says who sees it. Nothing but Python's own library is needed.
"""

import json
import logging
import os
import time
import urllib.request

import celery

GATEWAY = os.environ.get("APUS_GATEWAY", "http://127.0.0.1:8080")
HEADERS = {"X-API-Key": os.environ.get("APUS_GATEWAY_API_KEY", ""), "Content-Type": "application/json"}


class WithProgress(celery.Task):
    def tell(self, status, progress=None, message=None, result=None):
        request, now = self.request, time.monotonic()
        user = request.kwargs.get("user")
        if user is None or status == "processing" and now - getattr(request, "told", 0) < 0.1:
            return  # nobody looks, or nobody can look at more than ten a second
        request.told, request.sequence = now, getattr(request, "sequence", 0) + 1
        request.percent = progress = getattr(request, "percent", 0) if progress is None else progress
        data = {"type": "task_status", "task_id": request.id, "name": self.name, "status": status, "progress": progress,
                "attempt": request.retries + 1, "sequence": request.sequence, "message": message, "result": result}
        body = json.dumps({"channel": f"user:{user}", "event": "task_status", "data": data}).encode()
        try:
            urllib.request.urlopen(urllib.request.Request(f"{GATEWAY}/api/publish", body, HEADERS), timeout=2).close()
        except OSError as error:  # nobody sees it, and the task goes on
            logging.getLogger(__name__).warning("progress was not told: %s", error)

    def progress(self, percent, message=None):
        self.tell("processing", percent, message)

    def before_start(self, task_id, args, kwargs):
        self.tell("started")

    def on_success(self, result, task_id, args, kwargs):
        self.tell("completed", 100, result=result)

    def on_retry(self, error, task_id, args, kwargs, info):
        self.tell("retrying", message=str(error))

    def on_failure(self, error, task_id, args, kwargs, info):
        self.tell("failed", message=str(error))
