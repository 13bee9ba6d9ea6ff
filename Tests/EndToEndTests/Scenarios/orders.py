"""An order's status reaches the sockets of its user and nobody else's; an alert reaches admins only."""

import datetime

from scenario import *


async def scenario():
    bus = await backend()
    ann = await Person("42").connect()
    bob = await Person("7").connect()
    admin = await Person("1", "admin").connect()
    await admin.subscribe("admin:inventory-alerts")

    say("every kind of socket of user 42 gets the notification")
    async with plain_socket("user:42", token("42")) as socket, \
            event_source(["user:42"], token("42")) as events:
        expect("first event", (await next_event(events)).event, "connected")
        await publish_event(bus, "order.status_changed", {"order_id": 1001, "user_id": "42", "status": "shipped"})
        notification = await ann.inbox("user:42").next(lambda message: message["type"] == "order_update")
        expect("the same on a plain WebSocket", await receive(socket), notification)
        expect("the same over SSE", json.loads((await next_event(events, "notification")).data), notification)
    expect("message", notification["message"], "Your order status is now: shipped")
    expect("title", notification["title"], "Order 1001")
    expect("order", notification["order_id"], 1001)
    expect("read", notification["read"], False)
    expect("unread", notification["unread_count"], 1)
    datetime.datetime.fromisoformat(notification["created_at"].replace("Z", "+00:00"))
    assert notification["id"], notification

    say("and nobody else: the next that user 7 gets is their own")
    await publish_event(bus, "order.status_changed", {"order_id": 2001, "user_id": "7", "status": "packed"})
    await bob.inbox("user:7").next(lambda message: message.get("order_id") == 2001)
    expect("all that user 7 got", [m.get("order_id") for m in bob.inbox("user:7").messages], [2001])
    expect("channels of user 7", list(bob.inboxes), ["user:7"])

    say("a number as user id, a CloudEvent in structured mode and one in binary mode")
    await publish_event(bus, "order.status_changed", {"order_id": 1002, "user_id": 42, "status": "packed"})
    await ann.inbox("user:42").next(lambda message: message.get("order_id") == 1002)
    await publish_event(
        bus, "order.status_changed",
        {"specversion": "1.0", "id": "c1", "source": "/shop", "type": "order.status_changed",
         "datacontenttype": "application/json", "data": {"order_id": 1003, "user_id": "42", "status": "lost"}},
        {"Content-Type": "application/cloudevents+json"})
    await ann.inbox("user:42").next(lambda message: message.get("order_id") == 1003)
    await publish_event(
        bus, "order.status_changed", {"order_id": 1004, "user_id": "42", "status": "found"},
        {"ce-specversion": "1.0", "ce-id": "c2", "ce-source": "/shop", "ce-type": "order.status_changed",
         "Content-Type": "application/json"})
    last = await ann.inbox("user:42").next(lambda message: message.get("order_id") == 1004)
    expect("unread after four", last["unread_count"], 4)

    say("the inbox agrees, over RPC on the socket and over HTTP")
    listed = (await ann.client.rpc("notifications.list", {"limit": 10})).data
    expect("unread in the list", listed["unread_count"], 4)
    expect("orders, newest first", [n["order_id"] for n in listed["notifications"]], [1004, 1003, 1002, 1001])
    status, body = await rpc("notifications.list", {"limit": 2}, token("42"))
    expect("status", status, 200)
    expect("limited list", [n["order_id"] for n in (body.get("result") or body)["notifications"]], [1004, 1003])
    await ann.client.rpc("notifications.mark_read", {"id": last["id"]})
    listed = (await ann.client.rpc("notifications.list", {})).data
    expect("unread after reading one", listed["unread_count"], 3)
    expect("read", [n["read"] for n in listed["notifications"]][0], True)
    expect("the list of user 7", (await bob.client.rpc("notifications.list", {})).data["unread_count"], 1)

    say("low inventory fires once for admins, an older version changes nothing, and it clears above the second threshold")
    alerts = admin.inbox("admin:inventory-alerts")
    stock = {"product_id": "P-7", "quantity": 3, "threshold": 5, "version": 18}
    await publish_event(bus, "inventory.changed", {"product_id": "P-0", "quantity": 50, "threshold": 5, "version": 1})
    await publish_event(bus, "inventory.changed", stock)
    alert = await alerts.next()
    expect("type", alert["type"], "inventory_alert")
    expect("state", alert["state"], "firing")
    expect("product", alert["product_id"], "P-7")
    expect("quantity and threshold", (alert["quantity"], alert["threshold"]), (3, 5))
    expect("message", alert["message"], "Low inventory for product: P-7")
    await publish_event(bus, "inventory.changed", {**stock, "quantity": 100, "version": 17})  # late
    await publish_event(bus, "inventory.changed", {**stock, "product_id": "P-8", "quantity": 4})
    expect("next alert", (await alerts.next())["product_id"], "P-8")
    await publish_event(bus, "inventory.changed", {**stock, "quantity": 6, "version": 19})  # above, but not by enough
    await publish_event(bus, "inventory.changed", {**stock, "quantity": 7, "version": 20})
    cleared = await alerts.next()
    expect("cleared product", cleared["product_id"], "P-7")
    assert cleared["state"] != "firing", cleared

    say("who is no admin is refused the alerts, on every protocol")
    code, reason = await ann.refused("admin:inventory-alerts")
    expect("code", code, 103)
    expect("what user 42 has of them", "admin:inventory-alerts" in ann.inboxes, False)
    async with event_source(["user:42"], token("42")) as events:
        await next_event(events, "connected")
    try:
        async with event_source(["admin:inventory-alerts"], token("42")) as events:
            connected = await next_event(events)
            raise AssertionError(f"SSE lets user 42 see the alerts: {connected}")
    except httpx.HTTPStatusError as error:
        expect("SSE status", error.response.status_code, 403)
    try:
        async with plain_socket("admin:inventory-alerts", token("42")) as socket:
            await socket.recv()
        raise AssertionError("a plain WebSocket lets user 42 see the alerts")
    except websockets.ConnectionClosed as closed:
        expect("close code", closed.rcvd.code, 4003)


run(scenario)
