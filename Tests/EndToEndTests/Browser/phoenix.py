"""phoenix.js itself, as the bundle of the package pyview holds it unchanged, against the gateway: both its transports."""

import http.server
import importlib.util
import pathlib
import threading

import browser
from system import token, URL

HERE = pathlib.Path(__file__).resolve().parent
BUNDLE = pathlib.Path(importlib.util.find_spec("pyview").submodule_search_locations[0]) / "static" / "assets" / "app.js"

#: Returns what happened on a socket of one transport, step by step.
SCRIPT = """
const [endpoint, token, transport, done] = arguments;
const Socket = window.liveSocket.socket.constructor;
const seen = [];
const fail = (reason) => done({ seen, failure: String(reason) });
const options = { params: { token } };
if (transport === 'longpoll') options.transport = Socket.prototype.getLongPollTransport();
const socket = new Socket(endpoint, options);
socket.onError((error) => seen.push('socket error'));
socket.connect();
const channel = socket.channel('room:browser', {});
const presence = {};
channel.on('presence_state', (state) => { for (const key in state) presence[key] = state[key].metas.length; });
channel.on('presence_diff', (diff) => { for (const key in diff.joins) presence[key] = diff.joins[key].metas.length; });
channel.on('shout', (payload) => {
  seen.push(`shout ${payload.text}`);
  channel.push('rpc:tasks.list', { limit: 1 })
    .receive('ok', (response) => {
      seen.push(`call ${Array.isArray(response.tasks)}`);
      const bytes = new TextEncoder().encode('{"text":"binary"}').buffer;
      if (payload.text === 'binary') {
        channel.leave().receive('ok', () => { seen.push('left'); socket.disconnect(() => done({ seen, presence })); });
      } else {
        channel.push('shout', bytes).receive('error', fail).receive('timeout', () => fail('a binary push'));
      }
    })
    .receive('error', (reason) => fail(JSON.stringify(reason))).receive('timeout', () => fail('the call'));
});
channel.join()
  .receive('ok', (response) => {
    seen.push(`joined ${JSON.stringify(response)}`);
    socket.ping(() => {
      seen.push('heartbeat');
      channel.push('shout', { text: 'hi' }).receive('ok', () => seen.push('pushed'));
    });
  })
  .receive('error', (reason) => fail(JSON.stringify(reason))).receive('timeout', () => fail('the join'));
"""


class Files(http.server.SimpleHTTPRequestHandler):
    def translate_path(self, path):
        return str(BUNDLE if path.split("?")[0] == "/app.js" else HERE / "phoenix.html")

    def log_message(self, *_):
        pass


def phoenix():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = URL.replace("http://", "ws://") + "/socket"
    try:
        for transport in ("websocket", "longpoll"):
            with browser.chromium() as driver:
                driver.set_script_timeout(browser.PATIENCE)
                driver.get(f"http://127.0.0.1:{server.server_port}/")
                report = driver.execute_async_script(SCRIPT, endpoint, token("42"), transport)
            assert "failure" not in report, report
            seen = report["seen"]
            assert seen[:2] == ["joined {}", "heartbeat"], report
            # What comes after it is the end of the poll that a client gives up when it disconnects.
            before = seen[: seen.index("left")]
            assert "pushed" in before and "socket error" not in before, report
            assert [step for step in seen if step.startswith("shout")] == ["shout hi", "shout binary"], report
            assert seen.count("call true") == 2, report
            assert report["presence"] == {"42": 1}, report
            print(f"{transport}: {seen}")
    finally:
        server.shutdown()


if __name__ == "__main__":
    browser.run(phoenix)
