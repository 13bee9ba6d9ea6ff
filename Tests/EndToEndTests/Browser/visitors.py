"""Pages of other sites, with clients in JavaScript that nobody here wrote: files that packages of PyPI carry."""

import contextlib
import http.server
import importlib.util
import pathlib
import threading


def package_file(package, path):
    """A file of an installed package; the package itself is not imported."""
    folder = pathlib.Path(importlib.util.find_spec(package).submodule_search_locations[0])
    return (folder / path).read_bytes()


@contextlib.contextmanager
def site(script, answers):
    """Serves a page that loads `script`, and what POST requests get (by path); yields the page's address."""

    class Pages(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/":
                self.reply(b"<!doctype html><meta name='csrf-token' content='none'><body><script src='/client.js'></script>",
                           "text/html")
            elif self.path == "/client.js":
                self.reply(script, "text/javascript")
            else:
                self.send_error(404)

        def do_POST(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.path in answers:
                self.reply(answers[self.path], "application/json")
            else:
                self.send_error(404)

        def reply(self, body, kind):
            self.send_response(200)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()


def run_script(driver, script, *arguments):
    """Runs the body of an asynchronous function in the page and returns what it returns."""
    result = driver.execute_async_script(
        f"""
        const done = arguments[arguments.length - 1];
        (async (...given) => {{ {script} }})(...arguments).then(
            (value) => done({{ value }}), (error) => done({{ error: String(error?.message ?? JSON.stringify(error)) }}));
        """, *arguments)
    assert "error" not in result, f"{result['error']}\nin {script}"
    return result["value"]
