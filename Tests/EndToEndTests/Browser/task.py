"""A task is started on the sample: its bar moves in both windows of the user, and the result is right."""

import csv
import datetime
import os
import pathlib

import browser
import system

BAR = "document.querySelector('.task .bar')?.getAttribute('aria-valuenow') ?? null"


def a_task_moves_its_bar_in_every_window_of_its_user():
    sample = system.page_configuration()["sample_csv"]
    assert sample, "the gateway names no sample"
    with browser.chromium() as one, browser.chromium() as two:
        first = browser.Page(one, system.URL, system.token("42", "admin"))
        second = browser.Page(two, system.URL, system.token("42", "admin"))
        before = len(first.find(".task"))
        for page in (first, second):
            page.watch("bar", BAR)
        first.one("#run-sample").click()
        for page in (first, second):
            page.until("the task appears", lambda: len(page.find(".task")) > before or before >= 5)
            page.until("the task is done", lambda: _status(page) == "completed")
            values = [int(value) for value in page.watched("bar") if value is not None]
            values = values[values.index(0):] if 0 in values else values
            moving = [value for value in values if 0 < value < 100]
            assert len(moving) >= 2, f"the bar did not move: {values}"
            assert values == sorted(values), f"the bar went back: {values}"
            assert values[-1] == 100, f"the bar did not arrive: {values}"
        _check_result(first, sample)
        assert first.texts(".task:first-child .result tbody th") == second.texts(".task:first-child .result tbody th")
        for page in (first, second):
            assert not page.complaints(), page.complaints()


def a_task_started_elsewhere_shows_and_is_cancelled_from_the_page():
    later = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)).isoformat()
    with browser.chromium() as driver:
        page = browser.Page(driver, system.URL, system.token("42", "admin"))
        task = system.rpc(
            "tasks.submit", {"name": "apus.noop", "eta": later}, system.token("42"))["task_id"]
        entry = f'[data-task="{task}"]'
        page.until("the task shows", lambda: page.find(entry))
        cancel, retry = page.find(f"{entry} button")
        assert cancel.text == "Cancel" and not retry.is_displayed(), "what runs can be retried"
        cancel.click()
        page.until("it is cancelled", lambda: page.one(entry).get_attribute("data-status") == "cancelled")
        assert not cancel.is_displayed(), "it can be cancelled twice"


def a_task_that_failed_is_tried_again_from_the_page_as_a_new_one():
    folder = pathlib.Path(system.DATABASE).parent
    late = folder / "late.csv"
    with browser.chromium() as driver:
        page = browser.Page(driver, system.URL, system.token("42", "admin"))
        failed = system.rpc(
            "tasks.submit", {"name": "dataset.summarize", "args": {"path": str(late)}, "user": "42"},
            system.token("42"))["task_id"]
        entry = f'[data-task="{failed}"]'
        page.until("it fails", lambda: page.find(entry) and page.one(entry).get_attribute("data-status") == "failed")
        assert "no file" in page.one(f"{entry} .meta").text, "the page does not say why"
        late.write_text("a,b\n1,2\n3,4\n")
        cancel, retry = page.find(f"{entry} button")
        assert retry.text == "Retry" and not cancel.is_displayed(), "what has failed can be cancelled"
        retry.click()
        newest = ".task:first-child"
        page.until("a new task is there", lambda: page.one(newest).get_attribute("data-task") != failed)
        page.until("it completes", lambda: page.one(newest).get_attribute("data-status") == "completed")
        assert page.one(entry).get_attribute("data-status") == "failed", "the old one is not as it was"
        assert not any(button.is_displayed() for button in page.find(f"{newest} button")), "what is done can be retried"
        if folder := os.environ.get("APUS_BROWSER_SCREENSHOTS"):
            driver.save_screenshot(f"{folder}/tasks.png")
        assert not page.complaints(), page.complaints()


def _status(page):
    tasks = page.find(".task")
    return tasks and tasks[0].get_attribute("data-status")


def _check_result(page, sample):
    with open(sample, newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file)
        header = next(rows)
        count = sum(1 for row in rows if row)
    assert page.texts(".task:first-child .result tbody th") == header, "the columns differ"
    summary = page.one(".task:first-child summary").text
    assert summary.startswith(f"{count:,} row"), f"{summary} instead of {count:,} rows"


if __name__ == "__main__":
    browser.run(a_task_moves_its_bar_in_every_window_of_its_user)
    browser.run(a_task_started_elsewhere_shows_and_is_cancelled_from_the_page)
    browser.run(a_task_that_failed_is_tried_again_from_the_page_as_a_new_one)
