"""A product that runs low shows on the page of an admin, and goes when it is back; others have no such panel."""

import json
import re

import browser
import system


def an_inventory_alert_shows_to_admins_only():
    with browser.chromium() as one, browser.chromium() as two:
        admin = browser.Page(one, system.URL, system.token("42", "admin"))
        other = browser.Page(two, system.URL, system.token("7"))
        command = admin.one("#alerts-shell code").get_attribute("textContent")
        low = json.loads(re.search(r"'(.*)'", command)[1])
        product = low["product_id"]
        system.shell(command)
        entry = f'[data-product="{product}"]'
        admin.until("the alert shows", lambda: admin.find(f'{entry}[data-state="firing"]'))
        assert product in admin.one(entry).text
        assert not other.one("#alerts-panel").is_displayed(), "somebody without the role sees alerts"
        admin.driver.refresh()
        admin.until("it is there after a reload", lambda: admin.find(f'{entry}[data-state="firing"]'))
        system.event("inventory.changed", **{**low, "quantity": 50, "version": low["version"] + 1})
        admin.until("it is resolved", lambda: admin.find(entry) and not admin.find(f'{entry}[data-state="firing"]'))
        assert not admin.complaints(), admin.complaints()


if __name__ == "__main__":
    browser.run(an_inventory_alert_shows_to_admins_only)
