"""Calls and the server API over plain HTTP: httpx, and `cent`, the client of Centrifugo's API."""

import cent

from scenario import *


async def scenario():
    ann = await Person("42").connect()
    await ann.subscribe("room:lobby")

    say("POST /rpc/<method>")
    status, body = await rpc("notifications.list", {}, token("42"))
    expect("status", status, 200)
    expect("unread", (body.get("result") or body)["unread_count"], 0)
    for expected, method, parameters, bearer in (
        (401, "notifications.list", {}, None),
        (401, "notifications.list", {}, "rubbish"),
        (400, "notifications.list", "{not json", token("42")),
        (503, "nobody.answers", {}, token("42")),  # whoever answers it may only be away
    ):
        status, body = await rpc(method, parameters, bearer)
        expect(f"status of {method} with {parameters!r} by {bearer and 'somebody'}", status, expected)
        assert (body.get("error") or {}).get("message"), f"no clear error: {body}"
    status, body = await rpc("notifications.send", {"user": "7", "message": "x"}, token("42"))
    expect("status of a call that needs a role", status, 403)

    say("who one is cannot be forged by a header")
    async with httpx.AsyncClient() as http:
        answer = await http.post(
            f"http://{GATEWAY}/rpc/notifications.send", json={"user": "7", "message": "x"},
            headers={"Authorization": f"Bearer {token('42')}", "Apus-Roles": "admin", "Apus-User": "1"})
    expect("status with forged headers", answer.status_code, 403)

    say("publish with the client of Centrifugo's server API")
    api = cent.AsyncClient(f"http://{GATEWAY}/api", API_KEY)
    result = await api.publish(cent.PublishRequest(channel="room:lobby", data={"from": "the API"}))
    assert result.offset > 0 and result.epoch, result
    expect("at the client", await ann.inbox("room:lobby").next(), {"from": "the API"})
    again = await api.publish(cent.PublishRequest(channel="room:lobby", data={"n": 2}, idempotency_key="k"))
    same = await api.publish(cent.PublishRequest(channel="room:lobby", data={"n": 2}, idempotency_key="k"))
    expect("offset of the same again", same.offset, again.offset)
    await api.publish(cent.PublishRequest(channel="room:lobby", data={"n": 3}))
    expect("once", [(await ann.inbox("room:lobby").next())["n"] for _ in range(2)], [2, 3])
    try:
        await api.publish(cent.PublishRequest(channel="nowhere:x", data={}))
        raise AssertionError("an unknown namespace was published to")
    except cent.CentApiResponseError as error:
        assert error.code in (102, 107), error

    say("without the key nobody gets in")
    for key in ("", "wrong"):
        try:
            await cent.AsyncClient(f"http://{GATEWAY}/api", key).publish(
                cent.PublishRequest(channel="room:lobby", data={}))
            raise AssertionError(f"the key {key!r} was accepted")
        except cent.CentUnauthorizedError:
            pass
        except cent.CentTransportError as error:
            expect("status", error.status_code, 401)

    say("the page and its client come from the gateway itself and need nothing from elsewhere")
    async with httpx.AsyncClient() as http:
        page = await http.get(f"http://{GATEWAY}/")
        expect("status", page.status_code, 200)
        assert page.headers["content-type"].startswith("text/html"), page.headers
        foreign = re.findall(r"""(?:src|href)\s*=\s*["'](?:https?:)?//[^"']+""", page.text)
        expect("things from elsewhere", foreign, [])
        script = await http.get(f"http://{GATEWAY}/apus.js")
        expect("status", script.status_code, 200)
        assert "javascript" in script.headers["content-type"], script.headers
        expect("status of what is not there", (await http.get(f"http://{GATEWAY}/nothing")).status_code, 404)

    say("every service tells that it lives, that it is ready, and its figures")
    async with httpx.AsyncClient() as http:
        for service in ("gateway", "notifier", "worker", "livesync"):
            for route in ("health", "ready", "metrics"):
                answer = await http.get(f"http://{admin_address(service)}/{route}")
                expect(f"{service} /{route}", answer.status_code, 200)


run(scenario)
