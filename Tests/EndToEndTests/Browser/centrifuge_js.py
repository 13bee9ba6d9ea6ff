"""centrifuge-js in a page of another site: publishing, presence, history, calls, refusals, and a gateway that restarts."""

import json

import browser
import system
import visitors

CONNECT = """
const instant = $instant.useInstant();
await instant.init(location.origin, given[0]);
await instant.connect(false);
window.client = instant.getClient();
window.got = [];
window.subscribed = [];
window.states = [];
client.on('state', (state) => states.push(state.newState));
window.room = client.newSubscription('room:js', { joinLeave: true });
room.on('publication', (context) => got.push(context.data));
room.on('subscribed', (context) => subscribed.push(context));
room.on('join', (context) => (window.joined = context.info.user));
room.subscribe();
await room.ready(10000);
return client.state;
"""


def centrifuge_js_connects_from_another_site_and_recovers():
    tokens = {"csrf_token": "none", "channels": [], "ws_token": system.token("42")}
    script = visitors.package_file("instant", "static/instant/index.min.js")
    with visitors.site(script, {"/instant/get_token/": json.dumps(tokens).encode()}) as address:
        with browser.chromium() as driver:
            driver.set_script_timeout(browser.PATIENCE)

            def run(body, *arguments):
                return visitors.run_script(driver, body, *arguments)

            def until(what, expression):
                return browser.until(driver, what, lambda: driver.execute_script(f"return {expression}"))

            driver.get(address)
            assert run(CONNECT, system.URL.replace("http", "ws", 1)) == "connected"
            until("its own join is seen", "window.joined === '42'")

            run("await room.publish({ text: 'one' });")
            until("what it published comes back", "got.length === 1 && got[0].text === 'one'")
            system.publish("room:js", {"text": "two"})
            until("what a backend published comes", "got.length === 2 && got[1].text === 'two'")
            history = run("return (await room.history({ limit: 10, reverse: true })).publications.map((p) => p.data.text);")
            assert history == ["two", "one"], history
            assert run("return Object.values((await room.presence()).clients).map((info) => info.user);") == ["42"]
            assert run("return (await room.presenceStats()).numClients;") == 1
            assert run("return (await client.rpc('notifications.list', {})).data.unread_count;") == 0
            code = run("try { await client.rpc('nobody.answers', {}); } catch (error) { return error.code; }")
            assert code == 108, code
            refused = run("""
                const secret = client.newSubscription('admin:secret');
                const refusal = new Promise((resolve) => secret.on('unsubscribed', resolve));
                secret.subscribe();
                return (await refusal).code;
                """)
            assert refused == 103, refused

            system.control("terminate gateway")
            until("the loss is noticed", "client.state === 'connecting'")
            for number in range(3):
                system.publish("room:js", {"text": f"away {number}"})
            system.control("start gateway")
            until("it is back, with what it missed", "client.state === 'connected' && got.length === 5")
            texts = driver.execute_script("return got.map((data) => data.text)")
            assert texts == ["one", "two", "away 0", "away 1", "away 2"], texts
            last = driver.execute_script("return subscribed.at(-1)")
            assert last["wasRecovering"] and last["recovered"], last


if __name__ == "__main__":
    browser.run(centrifuge_js_connects_from_another_site_and_recovers)
