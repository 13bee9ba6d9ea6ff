"""The gateway with a certificate: every kind of client over https and wss, a renewed certificate, and what hostile clients send."""

import random
import socket as sockets
import ssl
import subprocess
import warnings

from scenario import *

#: Connections at once.
CROWD = 1000
#: Bytes that go through one HTTP connection each way.
LARGE = 100 << 20
#: `gateway.limits.connect_timeout` of the test.
CONNECT_TIMEOUT = 3


def make_certificate(name):
    """NAME.pem and NAME.key, of a name that clients here accept."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
         "-keyout", f"{FOLDER}/{name}.key", "-out", f"{FOLDER}/{name}.pem"],
        check=True, capture_output=True)


def install(name):
    """Puts a certificate where the gateway looks, as those who renew certificates do: by exchanging files."""
    for end in ("key", "pem"):
        with open(f"{FOLDER}/{name}.{end}", "rb") as source, open(f"{FOLDER}/new", "wb") as target:
            target.write(source.read())
        os.replace(f"{FOLDER}/new", f"{FOLDER}/gateway.{end}")


def trusting(name):
    """A context that accepts the certificate `name` and no other."""
    return ssl.create_default_context(cafile=f"{FOLDER}/{name}.pem")


def https(context, **options):
    return httpx.AsyncClient(verify=context, timeout=LIMIT, base_url=f"https://{GATEWAY}", trust_env=False, **options)


def dial():
    host, port = GATEWAY.split(":")
    return sockets.create_connection((host, int(port)), timeout=LIMIT)


def secure(context):
    return context.wrap_socket(dial(), server_hostname="localhost")


def everything(peer):
    """All that a socket has to say until it ends."""
    taken = b""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while more := peer.recv(65536):
            taken += more
    return taken


async def begin():
    say("the gateway gets a certificate")
    make_certificate("first")
    make_certificate("second")
    install("first")
    path = f"{FOLDER}/apus.yaml"
    with open(path) as file:
        text = file.read()
    with open(path, "w") as file:
        file.write(text.replace("gateway:\n", "gateway:\n  tls: { certificate: gateway.pem, key: gateway.key }\n", 1))
    await control("terminate", "gateway")
    await control("start", "gateway")
    await control("ready", "gateway")


async def clients(bus, context):
    say("centrifuge-python and websockets over wss")
    person = Person("42")
    person.client = centrifuge.Client(
        f"wss://{GATEWAY}/connection/websocket", events=Events(person), token=token("42"), ssl_context=context, proxy=None)
    await person.connect()
    await person.subscribe("topic:news")
    async with websockets.connect(f"wss://{GATEWAY}/ws/topic:news", ssl=context, proxy=None) as socket:
        for number in range(50):
            await bus.jetstream().publish("apus.channel.topic.news", json.dumps({"n": number}).encode())
        for number in range(50):
            expect("plain", await receive(socket), {"n": number})
            expect("centrifuge", await person.inbox("topic:news").next(), {"n": number})
        await person.client.disconnect()

    say("pages and calls over https, one connection after another and many requests on one")
    async with https(context) as http:
        for path in ("/", "/apus.js", "/page.json", "/style.css") * 5:
            answer = await http.get(path)
            expect(path, answer.status_code, 200)
        expect("server API", (await http.post("/api/info", headers={"X-API-Key": API_KEY}, json={})).status_code, 200)
        expect("call", (await http.post("/rpc/gateway.info", json={})).status_code, 200)
        expect("not found", (await http.get("/nowhere")).status_code, 404)
        expect("protocol", answer.http_version, "HTTP/1.1")

    say("Server-Sent Events and polls")
    async with https(context) as http:
        parameters = {"channel": "topic:news"}
        first = (await http.get("/poll", params={**parameters, "wait": "0"})).json()
        waiting = asyncio.create_task(http.get("/poll", params={**parameters, "wait": "20", "after": first["position"]}))
        async with httpx_sse.aconnect_sse(http, "GET", "/events", params=parameters) as source:
            events = source.aiter_sse()
            await next_event(events, "connected")
            await bus.jetstream().publish("apus.channel.topic.news", b'{"n": 50}')
            expect("event", json.loads((await next_event(events)).data), {"n": 50})
            found = (await waiting).json()["messages"]
            expect("poll", [message["data"] for message in found], [{"n": 50}])
            before = await metric("gateway", r'^apus_gateway_connections\{.*sse')
            expect("streams", before, 1)
        await eventually("the stream's end is noticed", lambda: ended("sse"))


async def ended(protocol):
    return await metric("gateway", rf'^apus_gateway_connections\{{.*"{protocol}"') == 0


async def large_messages(context):
    say("large messages both ways over one WebSocket")
    options = {"ssl": context, "proxy": None, "max_size": None, "compression": None}
    async with websockets.connect(f"wss://{GATEWAY}/echo", **options) as socket:
        for size in (1, 16_383, 16_384, 16_385, 65_536, 1 << 20, 8 << 20):
            message = random.randbytes(size)
            async with asyncio.timeout(LIMIT):
                await socket.send(message)
                assert await socket.recv() == message, f"{size} bytes came back changed"
        say("and many small ones that are sent before any is read")
        messages = [random.randbytes(random.randrange(200)) for _ in range(5000)]
        sending = asyncio.create_task(send_all(socket, messages))
        for message in messages:
            async with asyncio.timeout(LIMIT):
                assert await socket.recv() == message
        await sending


async def send_all(socket, messages):
    for message in messages:
        await socket.send(message)


async def large_bodies(context):
    process = gateway_process()
    before = resident_megabytes(process)
    say(f"an upload of {LARGE >> 20} MB")
    piece = random.randbytes(1 << 20)

    async def body():
        for _ in range(LARGE >> 20):
            yield piece

    async with https(context) as http:
        answer = await http.post("/upload", content=body(), headers={"Authorization": f"Bearer {token('42')}"})
        expect("upload", answer.status_code, 200)
        expect("bytes", answer.json()["bytes"], LARGE)
        path = os.path.join(FOLDER, answer.json()["path"])
        with open(path, "rb") as file:
            for _ in range(LARGE >> 20):
                assert file.read(len(piece)) == piece, "the upload was changed"
        os.remove(path)
        page = (await http.get("/apus.js")).content

    count = LARGE // len(page) + 1
    say(f"a download of as much: {count} answers to requests sent without waiting, by somebody who begins to read late")
    host, port = GATEWAY.split(":")
    reader, writer = await asyncio.open_connection(host, int(port), ssl=context, server_hostname="localhost")
    head = f"GET /apus.js HTTP/1.1\r\nHost: {GATEWAY}\r\nX-Filling: {'x' * 8000}\r\n"

    async def send():
        for number in range(count):
            writer.write((head + ("Connection: close\r\n\r\n" if number == count - 1 else "\r\n")).encode())
            await writer.drain()

    sending = asyncio.create_task(send())
    await asyncio.sleep(2)
    grown = resident_megabytes(process) - before
    say(f"memory grew by {grown:.1f} MB")
    assert grown < 30, f"the gateway grew by {grown:.1f} MB"
    assert not sending.done(), "the gateway has read all requests of a client that reads nothing"
    answer = await reader.read()
    await sending
    expect("answers", answer.count(page), count)
    writer.close()


async def strangers():
    say("plain HTTP to the TLS port is told so, whatever the method")
    for method in ("GET", "POST", "OPTIONS", "DELETE", "PRI"):
        peer = dial()
        peer.sendall(f"{method} / HTTP/1.1\r\nHost: {GATEWAY}\r\n\r\n".encode())
        answer = everything(peer).decode()
        assert answer.startswith("HTTP/1.1 400 Bad Request\r\n") and "https://" in answer, answer
        peer.close()
    expect("counted", await metric("gateway", r'tls_handshakes_total\{outcome="plain_http"\}'), 5)

    say("TLS 1.1 is refused")
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    try:
        secure(old)
        raise AssertionError("TLS 1.1 was accepted")
    except ssl.SSLError as error:
        assert "VERSION" in str(error).upper(), error
    expect("counted", await metric("gateway", r'tls_handshakes_total\{outcome="version"\}'), 1)

    say("a client that wants HTTP/2 only, and one that does not trust the certificate")
    with contextlib.suppress(ssl.SSLError):
        other = trusting("first")
        other.set_alpn_protocols(["h2"])
        secure(other)
        raise AssertionError("HTTP/2 was accepted")
    with contextlib.suppress(ssl.SSLCertVerificationError):
        peer = secure(ssl.create_default_context())
        raise AssertionError("not refused")
    await eventually("both are counted", lambda: metric("gateway", r'tls_handshakes_total\{outcome="alpn"\}'))
    await eventually("both are counted", lambda: metric("gateway", r'tls_handshakes_total\{outcome="alert"\}'))


async def slowness(context):
    say("whoever does not finish the handshake, or the request after it, is closed when the time is over")
    hello = client_hello()
    silent, half = dial(), dial()
    half.sendall(hello[: len(hello) // 2])
    quiet = await asyncio.to_thread(secure, context)
    started = time.monotonic()
    for peer in (silent, half, quiet):
        await asyncio.to_thread(everything, peer)
    assert CONNECT_TIMEOUT - 1.5 < time.monotonic() - started < CONNECT_TIMEOUT + 5
    expect("counted", await metric("gateway", r'tls_handshakes_total\{outcome="timeout"\}'), 2)
    for peer in (silent, half, quiet):
        peer.close()


def client_hello():
    """What a client sends first."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting("first").wrap_bio(incoming, outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


async def garbage(context):
    seed = random.randrange(1 << 32)
    say(f"broken handshakes and records (seed {seed})")
    generator = random.Random(seed)
    hello = client_hello()
    for _ in range(300):
        data = bytearray(hello)
        for _ in range(generator.randrange(1, 8)):
            data[generator.randrange(len(data))] = generator.randrange(256)
        data = data[: generator.randrange(1, len(data) + 1)]
        with contextlib.suppress(OSError):
            peer = dial()
            peer.sendall(bytes(data) + generator.randbytes(generator.randrange(200)))
            peer.close()
    for _ in range(100):
        # Records that no key fits, after a good handshake; and an end in the middle of one.
        peer = await asyncio.to_thread(secure, context)
        plain = sockets.socket(fileno=os.dup(peer.fileno()))
        peer.send(b"GET / HTTP/1.1\r\n")
        with contextlib.suppress(OSError):
            size = generator.randrange(1, 500)
            plain.sendall(b"\x17\x03\x03" + size.to_bytes(2, "big") + generator.randbytes(generator.randrange(size + 1)))
        plain.close()
        peer.close()
    async with https(context) as http:
        expect("still there", (await http.get("/")).status_code, 200)
    await eventually("all have gone", nobody_waits, 60)


async def nobody_waits():
    """Whether the gateway holds no more descriptors than it has of its own, by a wide margin."""
    return len(os.listdir(f"/proc/{gateway_process()}/fd")) < 60


async def crowd(bus, context):
    say(f"{CROWD} connections at once")
    gate = asyncio.Semaphore(50)

    async def connect():
        async with gate:
            return await websockets.connect(
                f"wss://{GATEWAY}/ws/fire:crowd", ssl=context, proxy=None, compression=None, open_timeout=LIMIT * 2)

    process = gateway_process()
    before = resident_megabytes(process)
    members = await asyncio.gather(*(connect() for _ in range(CROWD)))
    say(f"{(resident_megabytes(process) - before) * 1024 / CROWD:.1f} kB of the gateway's memory each (debug build)")
    for number in range(20):
        await bus.publish("apus.channel.fire.crowd", json.dumps(number).encode())
    for member in members:
        for number in range(20):
            expect("message", await receive(member), number)
    await asyncio.gather(*(member.close() for member in members))
    await eventually("all have gone", nobody_waits)


async def renewal(old, new):
    say("a renewed certificate is served without a restart, a bad one is not")
    open_before = await websockets.connect(f"wss://{GATEWAY}/echo", ssl=old, proxy=None)
    with open(f"{FOLDER}/gateway.pem", "w") as file:
        file.write("nothing\n")
    log_errors = time.monotonic() + 12
    while time.monotonic() < log_errors:
        async with https(old) as http:
            expect("the old one stays", (await http.get("/")).status_code, 200)
        await asyncio.sleep(2)
    install("second")

    async def is_served():
        with contextlib.suppress(httpx.ConnectError):
            async with https(new) as http:
                return (await http.get("/")).status_code == 200

    await eventually("the new certificate is served", is_served)
    await open_before.send("still")
    expect("what is open stays", await open_before.recv(), "still")
    await open_before.close()


async def leaving(context):
    say("the gateway leaves as without TLS: sockets are told, streams end, polls are answered")
    async with websockets.connect(f"wss://{GATEWAY}/ws/topic:news", ssl=context, proxy=None) as socket, https(context) as http:
        async with httpx_sse.aconnect_sse(http, "GET", "/events", params={"channel": "topic:news"}) as source:
            events = source.aiter_sse()
            await next_event(events, "connected")
            ending = asyncio.create_task(control("terminate", "gateway"))
            with contextlib.suppress(websockets.ConnectionClosed):
                async with asyncio.timeout(LIMIT):
                    await socket.recv()
            expect("close code", socket.close_code, 1001)
            async with asyncio.timeout(LIMIT):
                with contextlib.suppress(StopAsyncIteration, httpx.RemoteProtocolError):
                    while True:
                        await anext(events)
        assert "0" in await ending


async def scenario():
    await begin()
    bus = await backend()
    context = trusting("first")
    await clients(bus, context)
    await large_messages(context)
    await large_bodies(context)
    await strangers()
    await slowness(context)
    await garbage(context)
    await crowd(bus, context)
    await renewal(context, trusting("second"))
    await leaving(trusting("second"))


run(scenario)
