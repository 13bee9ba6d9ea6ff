"""Pages of other origins: the routes for clients answer those of gateway.origins and the own host, the server API none."""

from scenario import *

SHOP = "https://shop.example"


async def scenario():
    bearer = token("42")
    async with httpx.AsyncClient(timeout=LIMIT) as http:
        async def ask(method, path, origin, **options):
            headers = {"Origin": origin, **options.pop("headers", {})}
            return await http.request(method, f"http://{GATEWAY}{path}", headers=headers, **options)

        say("a preflight is answered for the routes for clients")
        for path in ("/events", "/poll", "/rpc/orders.list", "/socket/longpoll"):
            answer = await ask(
                "OPTIONS", path, SHOP, headers={
                    "Access-Control-Request-Method": "POST",
                    "Access-Control-Request-Headers": "authorization,content-type"})
            assert answer.status_code in (200, 204), (path, answer.status_code)
            expect("origin", answer.headers["access-control-allow-origin"], SHOP)
            allowed = answer.headers["access-control-allow-headers"].lower()
            assert "authorization" in allowed and "content-type" in allowed, allowed
            assert "POST" in answer.headers["access-control-allow-methods"], answer.headers
            assert "origin" in answer.headers["vary"].lower(), answer.headers
            assert "access-control-allow-credentials" not in answer.headers, answer.headers

        say("answers, also errors, say who may read them")
        for path, status in (
            (f"/poll?channel=topic:a&wait=0&token={bearer}", 200), ("/poll?channel=topic:a&wait=0", 401),
            (f"/poll?wait=0&token={bearer}", 400), (f"/events?channel=user:7&token={bearer}", 403),
        ):
            answer = await ask("GET", path, SHOP)
            expect(f"status of {path} ({answer.text})", answer.status_code, status)
            expect(f"origin for {path}", answer.headers["access-control-allow-origin"], SHOP)
            assert "origin" in answer.headers["vary"].lower(), answer.headers
        answer = await ask("POST", "/rpc/nobody.answers", SHOP, json={}, headers={"Authorization": f"Bearer {bearer}"})
        expect("origin of an RPC's error", answer.headers["access-control-allow-origin"], SHOP)
        async with http.stream(
            "GET", f"http://{GATEWAY}/events?channel=topic:a&token={bearer}", headers={"Origin": SHOP}
        ) as answer:
            expect("status", answer.status_code, 200)
            expect("origin of a stream", answer.headers["access-control-allow-origin"], SHOP)

        say("other origins are refused, preflight or not; the own host is let in, and so is who is no page")
        for origin in ("https://evil.example", "null", "http://shop.example", "https://shop.example.evil.example"):
            for method in ("OPTIONS", "GET"):
                answer = await ask(method, f"/poll?channel=topic:a&wait=0&token={bearer}", origin)
                expect(f"{method} from {origin}", answer.status_code, 403)
                assert "access-control-allow-origin" not in answer.headers, answer.headers
        expect("the own host", (await ask(
            "GET", f"/poll?channel=topic:a&wait=0&token={bearer}", f"http://{GATEWAY}")).status_code, 200)
        plain = await http.get(f"http://{GATEWAY}/poll?channel=topic:a&wait=0&token={bearer}")
        expect("no page", plain.status_code, 200)
        assert "access-control-allow-origin" not in plain.headers, plain.headers

        say("the server API is for backends only")
        for method in ("OPTIONS", "POST"):
            answer = await ask(method, "/api/info", SHOP, headers={"X-API-Key": API_KEY}, json={})
            assert "access-control-allow-origin" not in answer.headers, answer.headers

    say("WebSockets keep to the same origins")
    for path in ("/ws/topic:a", "/connection/websocket"):
        for origin, is_let_in in ((SHOP, True), (f"http://{GATEWAY}", True), ("https://evil.example", False)):
            try:
                async with websockets.connect(f"ws://{GATEWAY}{path}?token={bearer}", origin=origin, proxy=None):
                    assert is_let_in, (path, origin)
            except websockets.InvalidStatus as refused:
                expect(f"{path} from {origin}", (is_let_in, refused.response.status_code), (False, 403))


run(scenario)
