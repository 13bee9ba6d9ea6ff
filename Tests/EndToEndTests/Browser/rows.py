"""A row that another program changes changes on the page, in every window, and the changed cells flash."""

import browser
import system


def a_changed_row_flashes_in_every_window():
    with browser.chromium() as one, browser.chromium() as two:
        first = browser.Page(one, system.URL, system.token("42", "admin"))
        second = browser.Page(two, system.URL, system.token("7"))
        pages = (first, second)
        [(key, score)] = system.execute("SELECT id, score FROM posts ORDER BY id LIMIT 1")
        cell = f'tr[data-key="{key}"] td[data-column="score"]'
        for page in pages:
            page.until("the row is there", lambda: page.find(cell))
            assert _number(page.one(cell).text) == score
            page.watch("flashed", f"document.querySelector('{cell}.flash') !== null")

        command = first.one("#rows-shell code").get_attribute("textContent")
        assert "SET score = score - 1" in command, command
        system.shell(command)
        for page in pages:
            page.until("the new value shows", lambda: _number(page.one(cell).text) == score - 1)
            page.until("the cell flashes", lambda: True in page.watched("flashed"))
            flashing = page.find(f'tr[data-key="{key}"] td.flash')
            assert [node.get_attribute("data-column") for node in flashing] == ["score"], "other cells flash too"

        title = "Swift's box <i>7</i>"
        system.execute("INSERT INTO posts (title, score) VALUES (?, 12.5)", title)
        for page in pages:
            page.until("a new row shows", lambda: title in page.texts('td[data-column="title"]'))
        system.execute("DELETE FROM posts WHERE title = ?", title)
        for page in pages:
            page.until("a deleted row goes", lambda: title not in page.texts('td[data-column="title"]'))
            assert not page.complaints(), page.complaints()


def _number(text):
    return float(text.replace(",", ""))


if __name__ == "__main__":
    browser.run(a_changed_row_flashes_in_every_window)
