/** Tests of apus.js against a WebSocket without a net and a clock turned by hand. */

import { Apus, EventParser, LocalCode, backoff, mayReconnect, socketAddress } from '/apus.js';
import { FakeSocket, afterTest, equal, ok, settle, test } from './harness.js';

function make(options = {}) {
  const apus = new Apus('http://gateway.test', { WebSocket: FakeSocket, random: () => 0.5, fallback: false, ...options });
  afterTest(() => apus.disconnect());
  apus.told = [];
  for (const name of ['state', 'message', 'recovered', 'lost', 'error', 'push', 'unsubscribed']) {
    apus.on(name, (event) => apus.told.push([name, event]));
  }
  apus.heard = (name) => apus.told.filter(([kind]) => kind === name).map(([, event]) => event);
  return apus;
}

async function live(options, reply = {}) {
  const apus = make(options);
  apus.connect();
  await settle();
  await FakeSocket.last.open();
  await FakeSocket.last.answer('connect', { client: 'c1', ping: 25, pong: true, ...reply });
  return apus;
}

/** Lets the wait before the next attempt pass. */
async function reopen(clock) {
  const before = FakeSocket.all.length;
  while (FakeSocket.all.length === before) await clock.advance(100);
  await FakeSocket.last.open();
}

async function again(clock, reply = {}) {
  await reopen(clock);
  await FakeSocket.last.answer('connect', { client: 'c2', ping: 25, pong: true, ...reply });
}

const pub = (channel, offset, data = offset) => ({ push: { channel, pub: { data, offset } } });

test('the wait before an attempt is anywhere between nothing and a ceiling that doubles up to a maximum', () => {
  const limits = { min: 100, max: 1000 };
  equal([0, 1, 2, 3, 4, 90].map((attempt) => backoff(attempt, limits, () => 1)), [100, 200, 400, 800, 1000, 1000]);
  equal(backoff(5, limits, () => 0), 0);
});

test('close codes say whether to come back', () => {
  equal([1000, 1001, 1006, 3000, 3499, 4000, 4499, 5000].filter((code) => !mayReconnect(code)), []);
  equal([1009, 3500, 3999, 4500, 4999].filter(mayReconnect), []);
});

test('the address of the socket follows from that of the gateway', () => {
  equal(socketAddress('https://a.test'), 'wss://a.test/connection/websocket');
  equal(socketAddress('/', 'http://a.test:8080/x?y#z'), 'ws://a.test:8080/connection/websocket');
  equal(socketAddress('wss://a.test/apus/connection/websocket'), 'wss://a.test/apus/connection/websocket');
});

test('connecting sends the token and becomes live with the answer', async () => {
  const apus = make({ token: 't1' });
  apus.connect();
  apus.connect();
  await settle();
  equal(FakeSocket.all.length, 1, 'sockets');
  await FakeSocket.last.open();
  equal(FakeSocket.last.last('connect').connect.token, 't1');
  equal(apus.state, 'connecting');
  await FakeSocket.last.answer('connect', { client: 'c1' });
  equal([apus.state, apus.client, apus.transport], ['live', 'c1', 'websocket']);
});

test('commands of one turn leave in one frame', async () => {
  const apus = await live();
  const before = FakeSocket.last.frames.length;
  apus.rpc('a.b', { x: 1 }).catch(() => {});
  apus.publish('room:a', 'hello').catch(() => {});
  await settle();
  equal(FakeSocket.last.frames.length, before + 1, 'frames');
  const [first, second] = FakeSocket.last.frames.at(-1).split('\n').map((line) => JSON.parse(line));
  equal([first.rpc, second.publish], [{ method: 'a.b', data: { x: 1 } }, { channel: 'room:a', data: 'hello' }]);
});

test('a call resolves with its result or rejects with code, message and whether it is temporary', async () => {
  const apus = await live();
  const good = apus.rpc('sum');
  await settle();
  await FakeSocket.last.answer('rpc', { data: { total: 3 } });
  equal(await good, { total: 3 });
  const bad = apus.rpc('sum').catch((error) => [error.code, error.message, error.temporary]);
  await settle();
  await FakeSocket.last.fail('rpc', { code: 503, message: 'nobody answers', temporary: true });
  equal(await bad, [503, 'nobody answers', true]);
});

test('a call without an answer times out; one that was sent before a loss fails; one made after it waits', async (clock) => {
  const apus = await live({ timeout: 5000 });
  const late = apus.rpc('slow').catch((error) => error.code);
  await clock.advance(5000);
  equal(await late, LocalCode.timeout);
  const sent = apus.rpc('sent').catch((error) => [error.code, error.temporary]);
  await settle();
  await FakeSocket.last.drop();
  equal(await sent, [LocalCode.closed, true]);
  const waiting = apus.rpc('waiting', {}, { timeout: 100_000 });
  await again(clock);
  equal(FakeSocket.last.last('rpc').rpc.method, 'waiting');
  await FakeSocket.last.answer('rpc', { data: 1 });
  equal(await waiting, 1);
});

test('calls wait in bounded number, and not at all when nobody connects', async () => {
  const idle = make();
  equal(await idle.rpc('x').catch((error) => error.code), LocalCode.closed);
  const apus = make({ maxWaiting: 2 });
  apus.connect();
  const codes = [1, 2, 3].map(() => apus.rpc('x').catch((error) => error.code));
  equal(await codes[2], LocalCode.overloaded);
  apus.disconnect();
  equal(await Promise.all(codes.slice(0, 2)), [LocalCode.closed, LocalCode.closed]);
});

test('a reply is taken in before what follows it in the same frame', async () => {
  const apus = await live();
  const offsets = [];
  apus.subscribe('room:a', { since: { epoch: 'e', offset: 4 }, onMessage: (message) => offsets.push(message.offset) });
  await settle();
  await FakeSocket.last.answer(
    'subscribe',
    { recoverable: true, recovered: true, epoch: 'e', offset: 6, publications: [{ data: 5, offset: 5 }, { data: 6, offset: 6 }] },
    pub('room:a', 7));
  equal(offsets, [5, 6, 7]);
});

test('a subscription continues after a loss from where it was, each message once', async (clock) => {
  const apus = await live();
  const messages = [];
  const room = apus.subscribe('room:a', { onMessage: (message) => messages.push([message.offset, message.recovered]) });
  await settle();
  equal(FakeSocket.last.last('subscribe').subscribe.recover, undefined);
  await FakeSocket.last.answer('subscribe', { recoverable: true, epoch: 'e', offset: 10 });
  await FakeSocket.last.receive(pub('room:a', 11), pub('room:a', 11), pub('room:a', 14));
  await FakeSocket.last.drop(3001, 'shutdown');
  equal(room.state, 'subscribing');
  await again(clock);
  const { recover, epoch, offset } = FakeSocket.last.last('subscribe').subscribe;
  equal([recover, epoch, offset], [true, 'e', 14]);
  const publications = [14, 17, 20].map((number) => ({ data: number, offset: number }));
  await FakeSocket.last.answer('subscribe', { recoverable: true, recovered: true, was_recovering: true, epoch: 'e', offset: 20, publications });
  equal(messages, [[11, false], [14, false], [17, true], [20, true]]);
  equal(apus.heard('recovered').map((event) => [event.channel, event.count]), [['room:a', 2]]);
  equal(room.position, { epoch: 'e', offset: 20 });
});

test('when the log has begun anew the subscriber is told of the loss and goes on in the new epoch', async (clock) => {
  const apus = await live();
  const offsets = [];
  const room = apus.subscribe('room:a', { onMessage: (message) => offsets.push(message.offset) });
  const lost = [];
  room.on('lost', (event) => lost.push(event));
  await settle();
  await FakeSocket.last.answer('subscribe', { recoverable: true, epoch: 'old', offset: 500 });
  await FakeSocket.last.drop();
  await again(clock);
  const publications = [{ data: 2, offset: 2 }];
  await FakeSocket.last.answer('subscribe', { recoverable: true, was_recovering: true, epoch: 'new', offset: 3, publications }, pub('room:a', 4));
  equal(lost, [{ channel: 'room:a', from: { epoch: 'old', offset: 500 }, position: { epoch: 'new', offset: 3 } }]);
  equal(offsets, [2, 4]);
  equal(apus.heard('recovered'), []);
});

test('a terminal code ends the connection, any other begins it again', async (clock) => {
  for (const code of [3500, 4501, 1009]) {
    const apus = await live();
    await FakeSocket.last.drop(code, 'no');
    equal([apus.state, apus.heard('state').at(-1).code], ['disconnected', code]);
    equal(clock.pending, [], 'timers');
  }
  for (const code of [1006, 3001, 3008, 4100]) {
    const apus = await live();
    await FakeSocket.last.drop(code);
    equal(apus.state, 'reconnecting');
    apus.disconnect();
  }
});

test('the waits between attempts grow, and a success begins them anew', async (clock) => {
  const apus = await live({ backoff: { min: 100, max: 1000 } });
  for (let attempt = 0; attempt < 5; attempt += 1) {
    await FakeSocket.last.drop();
    await clock.advance(apus.heard('state').at(-1).retryIn);
  }
  equal(apus.heard('state').filter((event) => event.retryIn).map((event) => event.retryIn), [50, 100, 200, 400, 500]);
  await FakeSocket.last.open();
  await FakeSocket.last.answer('connect', {});
  await FakeSocket.last.drop();
  equal(apus.heard('state').at(-1).retryIn, 50);
});

test('when the network is back the next attempt is made at once', async () => {
  const apus = await live();
  await FakeSocket.last.drop();
  equal([apus.state, FakeSocket.all.length], ['reconnecting', 1]);
  dispatchEvent(new Event('online'));
  await settle();
  equal([apus.state, FakeSocket.all.length], ['connecting', 2]);
});

test('pings are answered, and silence for longer than one ping and the grace means a dead connection', async (clock) => {
  const apus = await live({ pingGrace: 10_000 });
  await clock.advance(20_000);
  await FakeSocket.last.receive({});
  equal(FakeSocket.last.frames.at(-1), '{}');
  await clock.advance(34_999);
  equal(apus.state, 'live');
  await clock.advance(1);
  equal(apus.state, 'reconnecting');
  ok(FakeSocket.all[0].isClosed, 'the dead socket stays open');
});

test('a gateway that accepts the socket and says nothing is given up', async (clock) => {
  const apus = make({ timeout: 5000 });
  apus.connect();
  await settle();
  await FakeSocket.last.open();
  await clock.advance(5000);
  equal(apus.state, 'reconnecting');
});

test('a token is renewed before it expires', async (clock) => {
  const tokens = ['t1', 't2'];
  const apus = await live({ getToken: async () => tokens.shift() }, { expires: true, ttl: 100, ping: 0 });
  await clock.advance(89_999);
  equal(FakeSocket.last.last('refresh'), undefined);
  await clock.advance(1);
  equal(FakeSocket.last.last('refresh').refresh.token, 't2');
  await FakeSocket.last.answer('refresh', { expires: true, ttl: 1000 });
  equal([apus.state, tokens.length], ['live', 0]);
});

test('an expired token is replaced when there is a way to, and ends the connection otherwise', async (clock) => {
  const expired = { code: 109, message: 'token expired' };
  const fixed = make({ token: 'old' });
  fixed.connect();
  await settle();
  await FakeSocket.last.open();
  await FakeSocket.last.fail('connect', expired);
  equal([fixed.state, fixed.heard('state').at(-1).code], ['disconnected', 109]);
  const apus = make({ token: 'old', getToken: async () => 'new' });
  apus.connect();
  await settle();
  await FakeSocket.last.open();
  await FakeSocket.last.fail('connect', expired);
  await reopen(clock);
  equal(FakeSocket.last.last('connect').connect.token, 'new');
});

test('a way to a token that fails is tried again, one that has none ends', async (clock) => {
  let calls = 0;
  const getToken = async () => {
    calls += 1;
    if (calls === 1) throw new Error('offline');
    return 't';
  };
  const apus = make({ getToken });
  apus.connect();
  await settle();
  equal([apus.state, FakeSocket.all.length], ['reconnecting', 0]);
  await clock.advance(1000);
  equal(FakeSocket.all.length, 1);
  const none = make({ getToken: async () => null });
  none.connect();
  await settle();
  equal([none.state, none.heard('state').at(-1).code], ['disconnected', LocalCode.unauthorized]);
});

test('channels that the server subscribes are followed and recovered without asking', async (clock) => {
  const apus = await live({}, { subs: { 'user:42': { recoverable: true, epoch: 'e', offset: 7 } } });
  await FakeSocket.last.receive({ push: { channel: 'user:42', pub: { data: 1, offset: 8, tags: { event: 'notification' } } } });
  await FakeSocket.last.drop();
  await reopen(clock);
  equal(FakeSocket.last.last('connect').connect.subs, { 'user:42': { recover: true, epoch: 'e', offset: 8 } });
  const publications = [{ data: 2, offset: 9 }];
  await FakeSocket.last.answer('connect', { subs: { 'user:42': { recoverable: true, recovered: true, epoch: 'e', offset: 9, publications } } }, pub('user:42', 10, 3));
  equal(apus.heard('message').map((message) => [message.event, message.data, message.recovered]),
    [['notification', 1, false], ['message', 2, true], ['message', 3, false]]);
  equal(apus.heard('recovered').map((event) => event.count), [1]);
  await FakeSocket.last.drop();
  await again(clock, { subs: {} });
  equal(apus.heard('unsubscribed').map((event) => event.channel), ['user:42']);
});

test('the server may end a subscription, or have it made again', async () => {
  const apus = await live();
  const room = apus.subscribe('room:a');
  await settle();
  await FakeSocket.last.answer('subscribe', { recoverable: true, epoch: 'e', offset: 5 });
  await FakeSocket.last.receive({ push: { channel: 'room:a', unsubscribe: { code: 2500, reason: 'insufficient state' } } });
  equal([FakeSocket.last.last('subscribe').subscribe.offset, room.state], [5, 'subscribing']);
  await FakeSocket.last.answer('subscribe', { recoverable: true, recovered: true, epoch: 'e', offset: 5 });
  const ended = [];
  room.on('unsubscribed', (event) => ended.push(event.code));
  await FakeSocket.last.receive({ push: { channel: 'room:a', unsubscribe: { code: 2000, reason: 'by server' } } });
  equal([ended, room.state], [[2000], 'unsubscribed']);
  ok(apus.subscribe('room:a') !== room, 'a new subscription may be made');
});

test('a channel that is subscribed as soon as the connection is live is asked for once', async () => {
  const apus = make();
  apus.on('state', ({ state }) => state === 'live' && apus.subscribe('room:a'));
  apus.connect();
  await settle();
  await FakeSocket.last.open();
  await FakeSocket.last.answer('connect', { client: 'c1' });
  equal(FakeSocket.last.commands.filter((command) => command.subscribe).length, 1);
});

test('a refused subscription ends, a temporary error is tried again', async (clock) => {
  const apus = await live();
  const secret = apus.subscribe('admin:x');
  await settle();
  await FakeSocket.last.fail('subscribe', { code: 103, message: 'permission denied' });
  equal(await secret.ready.catch((error) => error.code), 103);
  const before = FakeSocket.last.commands.length;
  const room = apus.subscribe('room:a');
  await settle();
  await FakeSocket.last.fail('subscribe', { code: 100, message: 'internal', temporary: true });
  await clock.advance(1000);
  equal(FakeSocket.last.commands.length, before + 2);
  await FakeSocket.last.answer('subscribe', {});
  equal((await room.ready).state, 'subscribed');
});

test('leaving a channel tells the server, and what still arrives of it is nobody’s message', async () => {
  const apus = await live();
  const offsets = [];
  const room = apus.subscribe('room:a', { onMessage: (message) => offsets.push(message.offset) });
  await settle();
  await FakeSocket.last.answer('subscribe', { recoverable: true, epoch: 'e', offset: 1 });
  room.unsubscribe();
  await settle();
  equal(FakeSocket.last.last('unsubscribe').unsubscribe.channel, 'room:a');
  await FakeSocket.last.receive(pub('room:a', 2));
  equal(offsets, []);
});

test('who is there is kept right although people come and go while the list is on its way', async () => {
  const apus = await live();
  const info = (client) => ({ client, user: client.toUpperCase() });
  const room = apus.subscribe('room:a', { presence: true });
  await settle();
  ok(FakeSocket.last.last('subscribe').subscribe.join_leave, 'join and leave are not asked for');
  await FakeSocket.last.answer('subscribe', {});
  await FakeSocket.last.receive(
    { push: { channel: 'room:a', join: { info: info('b') } } },
    { push: { channel: 'room:a', leave: { info: info('a') } } });
  await FakeSocket.last.answer('presence', { presence: { a: info('a'), c: info('c') } });
  equal([...room.members.keys()].sort(), ['b', 'c']);
  await FakeSocket.last.receive({ push: { channel: 'room:a', leave: { info: info('c') } } });
  equal([...room.members.keys()], ['b']);
});

test('a slow client learns how many messages were left out', async () => {
  const apus = await live();
  const room = apus.subscribe('room:a');
  const lost = [];
  room.on('lost', (event) => lost.push(event.count));
  await settle();
  await FakeSocket.last.answer('subscribe', {});
  await FakeSocket.last.receive({ push: { message: { data: { type: 'dropped', channel: 'room:a', count: 12 } } } });
  await FakeSocket.last.receive({ push: { message: { data: 'a word' } } });
  equal([lost, apus.heard('lost').map((event) => event.count), apus.heard('push')], [[12], [12], ['a word']]);
});

test('history comes as messages with the position', async () => {
  const apus = await live();
  const past = apus.history('room:a', { limit: 2, reverse: true });
  await settle();
  equal(FakeSocket.last.last('history').history, { channel: 'room:a', limit: 2, reverse: true });
  await FakeSocket.last.answer('history', { publications: [{ data: 'x', offset: 9 }], epoch: 'e', offset: 9 });
  const { messages, position } = await past;
  equal([messages.map((message) => message.data), position], [['x'], { epoch: 'e', offset: 9 }]);
});

test('what is not JSON ends that connection, not the client', async () => {
  const apus = await live();
  FakeSocket.last.onmessage({ data: '{"push":' });
  await settle();
  equal(apus.state, 'reconnecting');
});

test('a disconnect push is obeyed as a close code is', async () => {
  const apus = await live();
  await FakeSocket.last.receive({ push: { disconnect: { code: 3503, reason: 'force disconnect' } } });
  equal([apus.state, apus.heard('state').at(-1).reason], ['disconnected', 'force disconnect']);
});

test('a subscription whose answer never comes is settled by a new connection', async (clock) => {
  const apus = await live({ timeout: 1000 });
  apus.subscribe('room:a');
  await clock.advance(1000);
  equal(apus.state, 'reconnecting');
});

const bytes = (text) => new TextEncoder().encode(text);

function streamOf(text) {
  let controller;
  const body = new ReadableStream({ start: (given) => { controller = given; controller.enqueue(bytes(text)); } });
  return { response: { ok: true, status: 200, body }, end: () => controller.close(), add: (more) => controller.enqueue(bytes(more)) };
}

const macrotask = () => new Promise((resolve) => { const { port1, port2 } = new MessageChannel(); port1.onmessage = resolve; port2.postMessage(0); });
const eventually = async (condition) => { for (let turn = 0; turn < 200 && !condition(); turn += 1) await macrotask(); };

test('where no WebSocket opens events are read instead, each channel from its last one', async (clock) => {
  const requests = [];
  const streams = [];
  const fetch = async (url, options) => {
    requests.push([url, options.headers.Authorization]);
    const stream = streamOf('event: connected\ndata: {"client":"c","channels":{"room:a":{"recovered":true,"position":{"epoch":"e","offset":1}}}}\n\n');
    streams.push(stream);
    return stream.response;
  };
  const apus = make({ fallback: true, token: 't', fetch, random: () => 0 });
  const data = [];
  apus.subscribe('room:a', { onMessage: (message) => data.push([message.event, message.data]) });
  apus.connect();
  for (let attempt = 0; attempt < 2; attempt += 1) {
    await clock.advance(1);
    await FakeSocket.last.drop();
  }
  await clock.advance(1);
  await eventually(() => apus.state === 'live');
  equal([apus.state, apus.transport, FakeSocket.all.length], ['live', 'sse', 2]);
  equal(requests, [['http://gateway.test/events?channel=room%3Aa', 'Bearer t']]);
  streams[0].add('id: room%3Aa~e~2\nevent: mess');
  streams[0].add('age\ndata: {"text":"hi"}\n\n');
  await eventually(() => data.length === 1);
  equal(data, [['message', { text: 'hi' }]]);
  equal(await apus.publish('room:a', 1).catch((error) => error.code), LocalCode.unsupported);
  streams[0].end();
  await eventually(() => apus.state === 'reconnecting');
  await clock.advance(1);
  await eventually(() => requests.length === 2);
  equal(new URL(requests[1][0]).searchParams.get('last_event_id'), 'room%3Aa~e~2');
  apus.disconnect();
});

test('where streams are kept back too it polls, all channels in one request, each from where the last one ended', async (clock) => {
  const polls = [];
  const answers = [];
  const fetch = (url, { body, signal }) => {
    if (url.includes('/events')) return Promise.resolve(streamOf('').response); // opened, and then silent
    equal(url, 'http://gateway.test/poll');
    polls.push(JSON.parse(body));
    return new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(new Error('aborted')));
      answers.push((status, answer) => resolve({ ok: status === 200, status, json: async () => answer }));
    });
  };
  const apus = make({ fallback: true, token: 't', fetch, random: () => 0, timeout: 5000 });
  const data = [];
  const lost = [];
  const refused = [];
  for (const channel of ['room:a', 'room:b', 'room:no']) {
    apus.subscribe(channel, { onMessage: (message) => data.push([message.channel, message.event, message.data]) });
  }
  apus.on('lost', (event) => lost.push(event));
  apus.subscribe('room:no').on('unsubscribed', ({ code }) => refused.push(code));
  apus.connect();
  const dropSocket = async () => { await clock.advance(1); await FakeSocket.last.drop(); };
  await dropSocket();
  await dropSocket();
  await clock.advance(1); // a stream is opened, and nothing comes
  await clock.advance(5000);
  equal(FakeSocket.all.length, 3); // a socket is tried once more
  await dropSocket();
  await clock.advance(1);
  await eventually(() => polls.length === 1);
  equal(polls[0], { channels: ['room:a', 'room:b', 'room:no'], wait: 0 });

  answers[0](403);
  for (const [index, status] of [[1, 200], [2, 200], [3, 403]]) {
    await eventually(() => answers.length > index);
    equal(polls[index].channels.length, 1);
    answers[index](status, { messages: [], position: 'x', recovered: true });
  }
  await eventually(() => polls.length === 5);
  equal([refused, polls[4]], [[403], { channels: ['room:a', 'room:b'], wait: 0 }]);
  answers[4](200, { messages: [], position: 'p1', recovered: true });
  await eventually(() => apus.state === 'live');
  equal([apus.transport, apus.subscribe('room:a').state], ['poll', 'subscribed']);

  await eventually(() => polls.length === 6);
  equal(polls[5], { channels: ['room:a', 'room:b'], wait: 25, after: 'p1' });
  answers[5](200, { messages: [{ channel: 'room:b', event: 'shout', data: { text: 'hi' }, offset: 2 }], position: 'p2', recovered: true });
  await eventually(() => data.length === 1);
  equal(data, [['room:b', 'shout', { text: 'hi' }]]);
  equal(await apus.publish('room:a', 1).catch((error) => error.code), LocalCode.unsupported);

  await eventually(() => polls.length === 7);
  answers[6](503);
  await eventually(() => apus.state === 'reconnecting');
  await clock.advance(1);
  await eventually(() => polls.length === 8);
  equal(polls[7], { channels: ['room:a', 'room:b'], wait: 0, after: 'p2' });
  equal(lost, []);
  answers[7](200, { messages: [], position: 'p9', recovered: false, lost: ['room:a', 'room:b'] });
  await eventually(() => lost.length === 2);
  equal(lost, [{ channel: 'room:a' }, { channel: 'room:b' }]);
  apus.disconnect();
});

test('an event stream is read the same however it is cut into pieces', () => {
  const text = ': ping\r\n\r\nid: 1\nevent: a\ndata: x\r\ndata: y\r\n\r\ndata:z\r\n\r\nevent: none\n\nid: 2\ndata: {"k":"v: w"}\n\n';
  const expected = [{ event: 'a', data: 'x\ny', id: '1' }, { event: 'message', data: 'z', id: '1' }, { event: 'message', data: '{"k":"v: w"}', id: '2' }];
  equal(new EventParser().feed(text), expected);
  for (let size = 1; size < 7; size += 1) {
    const parser = new EventParser();
    const events = [];
    for (let at = 0; at < text.length; at += size) events.push(...parser.feed(text.slice(at, at + size)));
    equal(events, expected, `pieces of ${size}`);
  }
});
