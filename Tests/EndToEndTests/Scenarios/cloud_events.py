"""What Apus emits is read by the CloudEvents project's own library, and what that library makes is understood."""

import datetime

from cloudevents.core.bindings.http import HTTPMessage, from_http_event, to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

from scenario import *


def read(message):
    """The message of NATS as the event that it is; the binding is that of HTTP: headers of the same names."""
    headers = {name.lower(): value for name, value in (message.headers or {}).items()}
    headers.setdefault("content-type", "application/json")
    return from_http_event(HTTPMessage(headers=headers, body=message.data))


async def scenario():
    bus = await backend()
    ann = await Person("42").connect()
    admin = await Person("1", "admin").connect()
    await admin.subscribe("admin:inventory-alerts")
    await admin.subscribe("table:main.posts")
    await admin.subscribe("room:lobby")
    seen = {}

    async def keep(message):
        seen.setdefault(message.subject, []).append(message)

    for subject in ("apus.live.>", "apus.event.>"):
        await bus.subscribe(subject, cb=keep)
    await bus.flush()

    async def event(subject, matching=lambda event: True):
        def look():
            return [found for found in map(read, seen.get(subject, [])) if matching(found)]

        return (await eventually(f"an event on {subject}", look))[0]

    say("an event of the server API, once for its id, and refused where its sender sees it when no service could read it")
    before = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=2)
    async with httpx.AsyncClient(headers={"X-API-Key": API_KEY}, timeout=LIMIT) as http:
        async def post(body):
            return (await http.post(f"http://{GATEWAY}/api/event", json=body)).json()

        order = {"order_id": 1, "user_id": "42", "status": "shipped"}
        for _ in range(2):
            answer = await post({"type": "order.status_changed", "data": order, "id": "a-1", "source": "/shop"})
            expect("answer", answer, {"result": {"id": "a-1"}})
        for body in ({"type": "x", "data": [1]}, {"type": "x..y", "data": {}}, {"type": "x"}, {"data": {}},
                     {"type": "x", "data": {}, "source": "no reference"}):
            answer = await post(body)
            expect(f"code of {body}", answer["error"]["code"], 107)
            assert len(answer["error"]["message"]) > 10, answer
        own = (await post({"type": "invoice.paid", "data": {}}))["result"]["id"]
        assert own, "no id"
    found = await event("apus.event.order.status_changed")
    expect("identity", (found.get_source(), found.get_id()), ("/shop", "a-1"))
    expect("type", found.get_type(), "order.status_changed")
    expect("data", found.get_data(), order)
    assert before < found.get_time() < before + datetime.timedelta(seconds=LIMIT), found.get_time()
    expect("made id", (await event("apus.event.invoice.paid")).get_id(), own)
    stored = (await bus.jetstream().stream_info("APUS_EVENTS")).state.messages
    expect("stored", stored, 2)

    say("a notification, an alert, every step of a task and a change of a row")
    notification = await event("apus.live.user.42", lambda event: event.get_type() == "notification")
    expect("id", notification.get_id(), notification.get_data()["id"])
    await publish_event(bus, "inventory.changed", {"product_id": "P-7", "quantity": 3, "threshold": 5, "version": 1})
    alert = await event("apus.live.admin.inventory-alerts")
    expect("state", alert.get_data()["state"], "firing")
    task = (await ann.client.rpc("tasks.submit", {"name": "apus.noop"})).data["task_id"]
    last = await event(f"apus.live.task.{task}", lambda event: event.get_data()["status"] == "completed")
    expect("type", last.get_type(), "task_status")
    same = await event("apus.live.user.42", lambda event: event.get_data().get("status") == "completed")
    expect("the same on the user's channel", same.get_id(), last.get_id())
    process = await asyncio.create_subprocess_exec("sqlite3", DATABASE, "UPDATE posts SET title = 'x' WHERE id = 1")
    expect("sqlite3", await process.wait(), 0)
    change = await event("apus.live.table.main.posts")
    expect("type", change.get_type(), "change")
    for one in (notification, alert, last, change):
        assert one.get_source().startswith("apus/"), one.get_source()
        assert one.get_time(), one.get_type()

    say("events made by the library, in both modes, on the stream of events and on a channel")
    for number, encode in enumerate((to_binary_event, to_structured_event), start=2):
        made = CloudEvent(
            attributes={"type": "order.status_changed", "source": "/shop", "id": f"é {number}", "specversion": "1.0",
                        "time": datetime.datetime.now(datetime.timezone.utc), "datacontenttype": "application/json"},
            data={"order_id": number, "user_id": "42", "status": "packed"})
        message = encode(made)
        for _ in range(2):  # one event, however often it is sent
            await bus.jetstream().publish("apus.event.order.status_changed", message.body, headers=dict(message.headers))
        await ann.inbox("user:42").next(lambda data: data.get("order_id") == number)
        await bus.publish("apus.channel.room.lobby", message.body, headers=dict(message.headers))
        await bus.flush()
        expect("on the channel", await admin.inbox("room:lobby").next(), made.get_data())
    await publish_event(bus, "order.status_changed", {"order_id": 9, "user_id": "42", "status": "packed"})
    await ann.inbox("user:42").next(lambda data: data.get("order_id") == 9)
    orders = [data["order_id"] for data in ann.inbox("user:42").messages if data["type"] == "order_update"]
    expect("told once each", orders, [1, 2, 3, 9])


run(scenario)
