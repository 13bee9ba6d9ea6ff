"""phoenix.js in a page of another site, by WebSocket and by long polling: joins, pushes, presence, calls, a restart."""

import browser
import system
import visitors

CONNECT = """
liveSocket.disconnect(); // the file's own application; its socket's class is what is wanted
const Socket = liveSocket.socket.constructor;
class NoWebSocket {
  constructor() { setTimeout(() => this.onclose?.({ code: 1006 }), 5); }
  close() {}
}
const options = { params: { token: given[1] }, reconnectAfterMs: () => 200, rejoinAfterMs: () => 200 };
if (given[2] === 'longpoll') Object.assign(options, { transport: NoWebSocket, longPollFallbackMs: 300 });
sessionStorage.clear();
window.socket = new Socket(given[0] + '/socket', options);
socket.connect();
window.got = [];
window.presence = {};
window.joins = 0;
window.room = socket.channel('room:phx', { hello: 'world' });
room.on('shout', (payload) => got.push(payload));
room.on('message', (payload) => got.push(payload));
room.on('presence_state', (state) => (window.presence = state));
room.on('presence_diff', (diff) => Object.assign(window.presence, diff.joins));
room.onError(() => (window.errors = (window.errors ?? 0) + 1));
window.reply = (push) => new Promise((resolve) =>
  push.receive('ok', (response) => resolve(['ok', response])).receive('error', (response) => resolve(['error', response]))
    .receive('timeout', () => resolve(['timeout'])));
const join = room.join();
join.receive('ok', () => (window.joins += 1));
return await reply(join);
"""


def phoenix_js_joins_and_comes_back(transport):
    script = visitors.package_file("pyview", "static/assets/app.js")
    with visitors.site(script, {}) as address, browser.chromium() as driver:
        driver.set_script_timeout(browser.PATIENCE)

        def run(body, *arguments):
            return visitors.run_script(driver, body, *arguments)

        def until(what, expression):
            return browser.until(driver, what, lambda: driver.execute_script(f"return {expression}"))

        driver.get(address)
        status = run(CONNECT, system.URL.replace("http", "ws", 1), system.token("42"), transport)
        assert status == ["ok", {}], status
        until("it sees itself", "'42' in window.presence && presence['42'].metas[0].phx_ref")

        assert run("return await reply(room.push('shout', { text: 'one' }));") == ["ok", {}]
        until("its own event comes back", "got.length === 1 && got[0].text === 'one'")
        system.publish("room:phx", {"text": "two"})
        until("what a backend published comes", "got.length === 2 && got[1].text === 'two'")
        status, response = run("return await reply(room.push('rpc:notifications.list', {}));")
        assert (status, response["unread_count"]) == ("ok", 0), (status, response)
        status, response = run("return await reply(room.push('rpc:nobody.answers', {}));")
        assert status == "error" and response["reason"], response
        for topic, reason in (("nowhere:x", "unmatched topic"), ("admin:secret", None)):
            status, response = run("const it = socket.channel(given[0]); const r = await reply(it.join()); it.leave(); return r;",
                                   topic)
            assert status == "error" and response["reason"] == (reason or response["reason"]), (topic, response)

        system.control("terminate gateway")
        until("the loss is noticed", "room.state !== 'joined'")
        system.control("start gateway")
        until("it has joined again", "room.state === 'joined' && joins >= 2")
        system.publish("room:phx", {"text": "three"})
        until("and hears what is said", "got.at(-1).text === 'three'")
        assert run("return await reply(room.leave());")[0] == "ok"


def phoenix_js():
    for transport in ("websocket", "longpoll"):
        print("--", transport, flush=True)
        phoenix_js_joins_and_comes_back(transport)


if __name__ == "__main__":
    browser.run(phoenix_js)
