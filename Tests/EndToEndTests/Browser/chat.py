"""What is said in one window shows in another, with who is there; a restarted gateway costs no message."""

import browser
import system


def chat_is_the_same_in_every_window_and_survives_the_gateway():
    mark = "*"
    with browser.chromium() as one:
        first = browser.Page(one, system.URL, system.token("42", "admin"))
        with browser.chromium() as two:
            second = browser.Page(two, system.URL, system.token("7"))
            for page in (first, second):
                page.until("both are there", lambda: {"42", "7"} <= set(_people(page)))
            first.say(f"{mark} one")
            second.until("the second window has it", lambda: f"{mark} one" in second.said())
            second.say(f"{mark} <b>two</b>")
            first.until("the first window has it", lambda: f"{mark} <b>two</b>" in first.said())
            assert _author(first, f"{mark} <b>two</b>") == "7"

            system.control("terminate gateway")
            for page in (first, second):
                page.until("the loss shows", lambda: page.state() in ("reconnecting", "connecting"))
            for number in range(3):
                system.publish("room:lobby", {"text": f"{mark} away {number}", "from": "backend"})
            system.control("start gateway")
            expected = [f"{mark} one", f"{mark} <b>two</b>", *(f"{mark} away {number}" for number in range(3))]
            for page in (first, second):
                page.until_live()
                page.until("what was missed is there", lambda: _said(page, mark) == expected)
                assert page.lost() == 0, "the page believes that something was lost"
                assert page.recovered() >= 3, f"only {page.recovered()} messages are counted as recovered"
            first.say(f"{mark} back")
            for page in (first, second):
                page.until("both go on", lambda: _said(page, mark) == [*expected, f"{mark} back"])
                page.until("both are there again", lambda: {"42", "7"} <= set(_people(page)))
                assert not page.complaints(), page.complaints()
        first.until("who left is gone", lambda: "7" not in _people(first))

        first.driver.refresh()
        first.until("the history is there after a reload", lambda: _said(first, mark) == [*expected, f"{mark} back"])


def _people(page):
    return [node.get_attribute("data-user") for node in page.find("#people li")]


def _said(page, mark):
    return [text for text in page.said() if text.startswith(mark)]


def _author(page, text):
    [node] = [node for node in page.find("#messages li") if text in node.text]
    return node.find_element("css selector", ".author").text


if __name__ == "__main__":
    browser.run(chat_is_the_same_in_every_window_and_survives_the_gateway)
