"""A file picked in the browser reaches the worker; a broken one fails with a reason."""

import pathlib
import tempfile

import browser
import system


def a_picked_file_is_summarized():
    assert system.page_configuration().get("upload"), "this gateway takes no files"
    with tempfile.TemporaryDirectory() as folder, browser.chromium() as driver:
        good = pathlib.Path(folder, "birds, counted.csv")
        good.write_text('bird,seen\nswift,12\n"swallow, barn",7\nmartin,\n', encoding="utf-8")
        bad = pathlib.Path(folder, "picture.csv")
        bad.write_bytes(bytes(range(256)) * 64)
        page = browser.Page(driver, system.URL, system.token("42", "admin"))

        page.one("#pick-file").send_keys(str(good))
        page.until("the task is done", lambda: _is(page, good.name, "completed"))
        cells = [[cell.text for cell in row.find_elements("css selector", "th, td")][:4]
                 for row in page.find(".task:first-child .result tbody tr")]
        assert cells == [["bird", "3", "0", "3"], ["seen", "2", "1", "2"]], cells

        page.one("#pick-file").send_keys(str(bad))
        page.until("the task has failed", lambda: _is(page, bad.name, "failed"))
        assert page.one(".task:first-child .meta").text, "it does not say why"


def _is(page, name, status):
    tasks = page.find(".task")
    return tasks and name in tasks[0].text and tasks[0].get_attribute("data-status") == status


if __name__ == "__main__":
    browser.run(a_picked_file_is_summarized)
