"""Channels about which a service decides, asked by the gateway for a client that was written elsewhere.

The service is nats-py alone: data for who joins, messages replaced, refused or dealt with, notices of who left, and what a
client sees of a service that is slow, talks nonsense or is not there.
"""

from scenario import *

CHANNEL = "asked:lobby"


class Service:
    """Answers hooks of namespace `asked` as the scenario says."""

    def __init__(self, bus):
        self.bus = bus
        self.questions = {"subscribe": [], "publish": [], "leave": []}
        self.answer = {}
        self.before_answer = None
        self.subscriptions = []

    async def start(self):
        for hook in self.questions:
            self.subscriptions.append(
                await self.bus.subscribe(f"apus.hook.asked.{hook}", queue="q", cb=self.take))
        await self.bus.flush()
        return self

    async def stop(self):
        for subscription in self.subscriptions:
            await subscription.unsubscribe()
        await self.bus.flush()

    async def take(self, message):
        hook = message.subject.rsplit(".", 1)[1]
        question = json.loads(message.data)
        self.questions[hook].append((question, message.headers or {}))
        if self.before_answer and hook == "subscribe":
            await self.before_answer()
        answer = self.answer.get(hook, {"result": {}})
        if message.reply and answer is not None:
            await message.respond(answer if isinstance(answer, bytes) else json.dumps(answer).encode())


async def refusal(call):
    try:
        answer = await call
    except centrifuge.ReplyError as error:
        return error
    raise AssertionError(f"expected an error, got {answer!r}")


async def scenario():
    bus = await backend()
    service = await Service(bus).start()

    say("who joins gets the service's data, and what is published while the service gathers it")

    async def publish_meanwhile():
        await publish(bus, "apus.channel.asked.lobby", {"text": "meanwhile"})

    service.before_answer = publish_meanwhile
    service.answer["subscribe"] = {"result": {"data": {"latest": [1, 2, 3]}}}
    ann = await Person("42", "staff").connect()
    room = await ann.subscribe(CHANNEL, data={"since": 17})
    service.before_answer = None
    expect("data", ann.subscribed[CHANNEL][0].data, {"latest": [1, 2, 3]})
    expect("meanwhile", await ann.inbox(CHANNEL).next(), {"text": "meanwhile"})
    question, headers = service.questions["subscribe"][0]
    client = question.pop("client")
    expect("the question", question, {"channel": CHANNEL, "user": "42", "data": {"since": 17}})
    expect("who asks", [headers.get(f"Apus-{name}") for name in ("User", "Roles", "Client")], ["42", "staff", client])

    say("a message is passed on as it is, replaced, dealt with, or refused with the service's own code")
    bob = await Person("7").connect()
    await bob.subscribe(CHANNEL)
    await room.publish({"text": "hi"})
    expect("as it is", await bob.inbox(CHANNEL).next(), {"text": "hi"})
    question, _ = service.questions["publish"][0]
    expect("the question", question, {
        "channel": CHANNEL, "user": "42", "client": client, "event": "message", "data": {"text": "hi"}})
    service.answer["publish"] = {"result": {"data": {"id": 1, "text": "**"}, "event": "kept"}}
    await room.publish({"text": "rude"})
    expect("replaced", await bob.inbox(CHANNEL).next(), {"id": 1, "text": "**"})
    service.answer["publish"] = {"result": {"publish": False, "reply": "ignored by this protocol"}}
    await room.publish({"text": "to nobody"})
    for code in (400, 403, 429, 503, 599):
        service.answer["publish"] = {"error": {"code": code, "message": f"because of {code}"}}
        error = await refusal(room.publish({"text": "no"}))
        expect("refusal", (error.code, error.temporary), (code, code in (429, 503)))
        assert f"because of {code}" in error.message, error.message
    service.answer["publish"] = {"result": {}}
    await room.publish({"text": "next"})
    expect("nothing in between", await bob.inbox(CHANNEL).next(), {"text": "next"})

    say("what goes to others leaves the sender out")
    await bus.publish("apus.channel.asked.lobby", b'{"text":"others"}', headers={"Apus-Exclude": client})
    await publish(bus, "apus.channel.asked.lobby", {"text": "all"})
    expect("at others", await bob.inbox(CHANNEL).next(), {"text": "others"})
    await ann.inbox(CHANNEL).next(lambda message: message == {"text": "all"})
    assert {"text": "others"} not in ann.inbox(CHANNEL).messages, "the sender got it too"

    say("a service that refuses a join, talks nonsense, or is too slow")
    service.answer["subscribe"] = {"error": {"code": 403, "message": "members only"}}
    code, reason = await (await Person("8").connect()).refused("asked:club")
    expect("refusal of a join", code, 403)
    for nonsense in (b"nonsense", b"[]", b"{}", b'{"result":5}', b'{"error":"no"}'):
        service.answer["publish"] = nonsense
        assert (await refusal(room.publish({"text": "x"}))).temporary, nonsense
    service.answer["publish"] = None  # no answer at all
    began = time.monotonic()
    slow = asyncio.create_task(refusal(room.publish({"text": "slow"})))
    await publish(bus, "apus.channel.asked.lobby", {"text": "others go on"})
    await bob.inbox(CHANNEL).next(lambda message: message == {"text": "others go on"})
    assert (await slow).temporary
    assert time.monotonic() - began < 5, "the hook's time limit (1 s here) was not kept"

    say("a service that is away is a temporary error, and the join goes through when it is back")
    service.answer = {}
    await service.stop()
    assert (await refusal(room.publish({"text": "anybody?"}))).temporary
    late = await Person("9").connect()
    joining = asyncio.create_task(late.subscribe(CHANNEL))
    await eventually("a temporary error", lambda: late.errors)
    assert not joining.done(), "joined without being let in"
    service.subscriptions = []
    await service.start()
    await joining

    say("who leaves is told: by unsubscribing, and by disconnecting")
    service.questions["leave"].clear()
    await late.client.get_subscription(CHANNEL).unsubscribe()
    [(notice, _)] = await eventually("a notice", lambda: service.questions["leave"])
    expect("notice", (notice["channel"], notice["user"], notice["reason"]), (CHANNEL, "9", "unsubscribe"))
    await ann.client.disconnect()
    await eventually("another", lambda: len(service.questions["leave"]) == 2)
    notice, _ = service.questions["leave"][1]
    expect("notice", (notice["user"], notice["client"], notice["reason"]), ("42", client, "disconnect"))

    say("a join that expires is asked again, and ends when the service no longer agrees")
    service.answer["subscribe"] = {"result": {"expires_in": 1}}
    brief = await Person("11").connect()
    await brief.subscribe("asked:brief")
    renewals = lambda: [q for q, _ in service.questions["subscribe"] if q.get("renewal")]  # noqa: E731
    await eventually("a renewal", renewals)
    expect("the renewal", (renewals()[0]["channel"], renewals()[0]["user"]), ("asked:brief", "11"))
    service.answer["subscribe"] = {"error": {"code": 403, "message": "no longer"}}
    await eventually("the end of the subscription", lambda: brief.unsubscribed.get("asked:brief")
                     or len(brief.subscribed["asked:brief"]) > 1)
    assert [n for n, _ in await eventually("its notice", lambda: [
        (n, h) for n, h in service.questions["leave"] if n["user"] == "11"])]


run(scenario)
