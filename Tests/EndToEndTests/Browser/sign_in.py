"""Without a good token the page asks for one and says why; with one it works, and keeps it out of the address."""

import browser
import system


def the_page_asks_for_a_token_and_hides_it():
    with browser.chromium() as driver:
        page = browser.Page(driver, system.URL)
        page.until("the form shows", lambda: page.one("#sign-in").is_displayed())
        assert "apus token --user 42" in page.one("#token-shell").text

        page.one("#token").send_keys("no token at all")
        page.one("#sign-in-form button").click()
        page.until("it says what is wrong", lambda: "not a token" in page.one("#sign-in-reason").text)

        header, body, signature = system.token("42", "admin").split(".")
        forged = ".".join((header, body, signature[:-4] + ("AAAA" if signature[-4:] != "AAAA" else "BBBB")))
        page.one("#token").clear()
        page.one("#token").send_keys(forged)
        page.one("#sign-in-form button").click()
        page.until("the gateway's refusal shows", lambda: "refused" in page.one("#sign-in-reason").text)

        page.one("#token").clear()
        page.one("#token").send_keys(system.token("42", "admin"))
        page.one("#sign-in-form button").click()
        page.until_live()
        assert "user 42" in page.one("#user").text
        assert "token" not in driver.current_url

        page.one("#sign-out").click()
        page.until("the form is back", lambda: page.one("#sign-in").is_displayed())
        assert driver.execute_script("return sessionStorage.getItem('apus.token')") is None, "the token is kept"


if __name__ == "__main__":
    browser.run(the_page_asks_for_a_token_and_hides_it)
