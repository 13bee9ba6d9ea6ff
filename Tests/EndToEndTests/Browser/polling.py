"""Where no WebSocket opens and a proxy keeps streams back, the page polls: messages and notifications still arrive."""

import browser
import system

#: Stands in for such a proxy: a stream is let through, and nothing of it comes.
NOTHING_BUT_ANSWERS = """
window.WebSocket = class {
    constructor() { setTimeout(() => this.onclose?.({ code: 1006, reason: '' }), 5); }
    close() {}
};
window.polls = 0;
const realFetch = window.fetch;
window.fetch = async (address, options) => {
    const { pathname } = new URL(address, location);
    if (pathname === '/events') return new Response(new ReadableStream(), { status: 200 });
    if (pathname === '/poll') window.polls += 1;
    return realFetch(address, options);
};
"""


def the_page_polls_where_nothing_else_comes_through():
    with browser.chromium() as driver:
        driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": NOTHING_BUT_ANSWERS})
        page = browser.Page(driver, system.URL, system.token("42", "admin"))
        page.until("it says how it reads", lambda: "polling" in page.one("#connection-detail").text)
        page.until("it waits for messages", lambda: driver.execute_script("return polls") >= 2)
        for number in range(5):
            system.publish("room:lobby", {"text": f"in an answer {number}", "from": "backend"})
        expected = [f"in an answer {number}" for number in range(5)]
        page.until("the messages arrive", lambda: [t for t in page.said() if t.startswith("in an")] == expected)
        before = page.unread()
        system.event("order.status_changed", order_id=5, user_id="42", status="packed")
        page.until("a notification arrives", lambda: page.unread() == before + 1)
        assert page.lost() == 0, "the page believes that something was lost"
        complaints = page.complaints()
        assert not complaints, complaints


if __name__ == "__main__":
    browser.run(the_page_polls_where_nothing_else_comes_through)
