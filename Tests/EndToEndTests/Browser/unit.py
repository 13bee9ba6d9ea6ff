"""Runs the tests of apus.js and of the page's pure parts inside Chromium. Needs nothing but the files."""

import functools
import http.server
import pathlib
import threading

import browser

HERE = pathlib.Path(__file__).resolve().parent
PAGE = HERE.parents[2] / "Services" / "Gateway" / "Edge" / "Page"


class Files(http.server.SimpleHTTPRequestHandler):
    """`/tests/…` is this folder, everything else the page's."""

    def translate_path(self, path):
        path = path.split("?")[0].lstrip("/")
        folder, name = (HERE, path.removeprefix("tests/")) if path.startswith("tests/") else (PAGE, path)
        return str(folder / pathlib.PurePosixPath(name).name)

    def log_message(self, *_):
        pass


def unit_tests():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Files))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with browser.chromium() as driver:
            driver.get(f"http://127.0.0.1:{server.server_port}/tests/unit.html")
            report = browser.until(driver, "the tests end", lambda: driver.execute_script("return window.report"))
    finally:
        server.shutdown()
    for failure in report["failures"]:
        print(f"not ok: {failure['name']}\n{failure['reason']}\n")
    assert report["count"] > 30, f"only {report['count']} tests were found"
    assert not report["failures"], f"{len(report['failures'])} of {report['count']} tests failed"
    print(f"{report['count']} tests passed")


if __name__ == "__main__":
    browser.run(unit_tests)
