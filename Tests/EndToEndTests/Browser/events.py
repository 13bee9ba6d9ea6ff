"""Where no WebSocket opens the page reads Server-Sent Events: messages, rows and notifications still arrive."""

import browser
import system

#: Stands in for a proxy that lets no WebSocket through, and notes which streams have been opened.
NO_WEBSOCKET = """
window.WebSocket = class {
    constructor() { setTimeout(() => this.onclose?.({ code: 1006, reason: '' }), 5); }
    close() {}
};
window.streams = [];
const realFetch = window.fetch;
window.fetch = async (address, options) => {
    const response = await realFetch(address, options);
    const url = new URL(address, location);
    if (url.pathname === '/events' && response.ok) window.streams.push(url.searchParams.get('channel'));
    return response;
};
"""


def the_page_reads_events_where_no_websocket_opens():
    with browser.chromium() as driver:
        driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": NO_WEBSOCKET})
        page = browser.Page(driver, system.URL, system.token("42", "admin"))
        page.until("it says how it reads", lambda: "Server-Sent Events" in page.one("#connection-detail").text)
        page.until("the rows come over HTTP", lambda: page.find("#rows tbody tr"))
        page.until("the user's channel is followed", lambda: "user:42" in driver.execute_script("return streams"))
        system.publish("room:lobby", {"text": "over a stream", "from": "backend"})
        page.until("a message arrives", lambda: "over a stream" in page.said())
        before = page.unread()
        system.event("order.status_changed", order_id=5, user_id="42", status="packed")
        page.until("a notification arrives", lambda: page.unread() == before + 1)
        assert not page.complaints(), page.complaints()


if __name__ == "__main__":
    browser.run(the_page_reads_events_where_no_websocket_opens)
