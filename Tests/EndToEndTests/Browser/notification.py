"""An order's event rings the bell of its user, in every window, and nobody else's; reading is seen everywhere too."""

import re

import browser
import system


def a_notification_reaches_its_user_and_nobody_else():
    with browser.chromium() as one, browser.chromium() as two, browser.chromium() as three:
        first = browser.Page(one, system.URL, system.token("42", "admin"))
        second = browser.Page(two, system.URL, system.token("42", "admin"))
        stranger = browser.Page(three, system.URL, system.token("7"))
        before, strangers = first.unread(), stranger.unread()
        command = first.one("#notification-shell code").get_attribute("textContent")
        order = int(re.search(r'"order_id":(\d+)', command)[1])
        system.shell(command)
        for page in (first, second):
            page.until("the bell counts it", lambda: page.unread() == before + 1)
            page.one("#bell").click()
            page.until("the list holds it", lambda: str(order) in page.one("#notifications").text)
        entry = "#notifications li.unread"
        first.until("it says what happened", lambda: "shipped" in first.texts(entry)[0])
        first.one(f"{entry} button").click()
        for page in (first, second):
            page.until("it counts as read", lambda: page.unread() == before)

        # What is for the stranger comes to the stranger: so silence before it meant something.
        system.event("order.status_changed", order_id=77, user_id="7", status="packed")
        stranger.until("the stranger's own arrives", lambda: stranger.unread() == strangers + 1)
        stranger.one("#bell").click()
        stranger.until("the list shows", lambda: "packed" in stranger.one("#notifications").text)
        assert str(order) not in stranger.one("#notifications").text, "it saw what is another's"

        first.one("#read-all").click()
        for page in (first, second):
            page.until("everything is read", lambda: page.unread() == 0)
        for page in (first, second, stranger):
            assert not page.complaints(), page.complaints()


if __name__ == "__main__":
    browser.run(a_notification_reaches_its_user_and_nobody_else)
