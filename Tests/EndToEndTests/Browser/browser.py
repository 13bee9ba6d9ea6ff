"""A headless Chromium for the scenarios, and what they share."""

import contextlib
import os
import shutil
import sys
import tempfile
import time

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

#: Seconds that anything which must happen may take. On failure only; nothing waits this long otherwise.
PATIENCE = float(os.environ.get("APUS_BROWSER_PATIENCE", "60"))


def _program(*names):
    for name in names:
        if path := shutil.which(name):
            return path
    sys.exit(f"none of {', '.join(names)} is installed: apt-get install chromium chromium-driver")


@contextlib.contextmanager
def chromium():
    """A browser with a profile of its own, closed with the block."""
    with tempfile.TemporaryDirectory(prefix="apus-chromium-") as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = _program("chromium", "chromium-browser", "google-chrome")
        for argument in (
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--disable-background-timer-throttling",
            "--disable-backgrounding-occluded-windows", "--disable-renderer-backgrounding",
            "--window-size=1280,1400", f"--user-data-dir={profile}",
        ):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(_program("chromedriver")))
        try:
            yield driver
        finally:
            driver.quit()


def until(driver, what, condition):
    """Waits for `condition()` to be true and returns what it gave; fails with `what` after PATIENCE."""

    def attempt(_):
        try:
            return condition()
        except StaleElementReferenceException:
            return False

    wait = WebDriverWait(driver, PATIENCE, poll_frequency=0.05)
    return wait.until(attempt, f"not within {PATIENCE:.0f} s: {what}")


class Page:
    """The demonstration page in one browser, as a person sees it."""

    def __init__(self, driver, address, token=None):
        self.driver = driver
        self.address = address
        driver.get(f"{address}/?token={token}" if token else f"{address}/")
        if token:
            self.until_live()
            assert "token" not in driver.current_url, "the token stays in the address"

    def find(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def texts(self, selector):
        return [node.text for node in self.find(selector)]

    def until(self, what, condition):
        return until(self.driver, what, condition)

    def until_live(self):
        self.until("the page is live", lambda: self.state() == "live")

    def state(self):
        return self.one("#connection").get_attribute("data-state")

    def recovered(self):
        return int(self.one("#connection").get_attribute("data-recovered"))

    def lost(self):
        return int(self.one("#connection").get_attribute("data-lost"))

    def watch(self, name, script):
        """Runs `script` (an expression) on every change of the document and keeps its different values in `name`."""
        self.driver.execute_script(
            f"""
            const seen = window['watched_{name}'] = [];
            const look = () => {{ const value = {script}; if (value !== seen.at(-1)) seen.push(value); }};
            new MutationObserver(look).observe(
                document.body, {{ subtree: true, childList: true, attributes: true, characterData: true }});
            look();
            """
        )

    def watched(self, name):
        return self.driver.execute_script(f"return window['watched_{name}']")

    def say(self, text):
        field = self.one("#words")
        field.send_keys(text)
        self.one("#say button").click()

    def said(self):
        return self.texts("#messages .text")

    def unread(self):
        return int(self.one("#bell").get_attribute("data-unread") or 0)

    def complaints(self):
        """Errors that the page left in the browser's console, but for sockets that could not be opened."""
        entries = self.driver.get_log("browser")
        return [
            entry["message"] for entry in entries
            if entry["level"] == "SEVERE" and "WebSocket connection to" not in entry["message"]
            and "net::ERR_CONNECTION_REFUSED" not in entry["message"]
        ]


def run(scenario):
    """Runs a scenario as a program: exit status 0, or 1 with the reason."""
    began = time.monotonic()
    try:
        scenario()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the reason
        import traceback

        traceback.print_exc()
        print(f"FAILED {scenario.__name__}: {type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(1)
    print(f"ok {scenario.__name__} ({time.monotonic() - began:.1f} s)")
