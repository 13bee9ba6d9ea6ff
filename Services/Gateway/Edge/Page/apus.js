/**
 * apus.js: the browser client of the Apus gateway, as one ES module without dependencies.
 *
 *     import { Apus } from '/apus.js';
 *     const apus = new Apus('https://example.org', { getToken: () => fetchToken() });
 *     const room = apus.subscribe('room:lobby', { onMessage: (m) => console.log(m.data) });
 *     apus.connect();
 *     await room.publish({ text: 'hello' });
 *
 * It speaks the Centrifuge client protocol (JSON) over a WebSocket, comes back by itself after a loss, fetches what
 * was missed meanwhile, and says so when something could not be fetched. Where no WebSocket can be opened it reads
 * Server-Sent Events instead, and where those do not come through either, it polls. The interface is described in docs/apus.js.md.
 */

/** Codes of errors that arise in the client; the server's own start at 100. */
export const LocalCode = Object.freeze({ timeout: 1, closed: 2, unauthorized: 3, unsupported: 4, overloaded: 5 });

/** Codes of the protocol that the client acts on. */
const TOKEN_EXPIRED = 109;
const ALREADY_SUBSCRIBED = 105;
const MESSAGE_TOO_BIG = 1009;
/** From here on an `unsubscribe` push asks the client to subscribe again. */
const RESUBSCRIBE_FROM = 2500;

/** Statuses that say that a channel may not be followed, whenever one asks. */
const REFUSED = new Set([400, 403, 404]);
/** Seconds that a poll waits for a message. */
const POLL_WAIT = 25;

const LONGEST_TIMER = 2 ** 31 - 1;

/** What a call or a subscription fails with. `temporary`: the same call may work later. */
export class ApusError extends Error {
  constructor(code, message, temporary = false) {
    super(message);
    this.name = 'ApusError';
    this.code = code;
    this.temporary = temporary;
  }
}

/** Milliseconds to wait before attempt number `attempt` (0, 1, …): "full jitter", so that many clients spread out. */
export function backoff(attempt, { min, max }, random = Math.random) {
  return random() * Math.min(max, min * 2 ** Math.min(attempt, 30));
}

/** Whether a connection closed with `code` is to be opened again. */
export function mayReconnect(code) {
  if (code === MESSAGE_TOO_BIG) return false;
  return !((code >= 3500 && code < 4000) || (code >= 4500 && code < 5000));
}

/** The gateway's socket for an address: `https://host` and `/` mean the usual route there, a full path is kept. */
export function socketAddress(address, base = globalThis.location?.href) {
  const url = new URL(address, base);
  url.protocol = url.protocol.replace(/^http/, 'ws');
  if (url.pathname === '/') url.pathname = '/connection/websocket';
  url.hash = '';
  return url.href;
}

/** Named listeners. One that throws is reported and stops neither the others nor the client. */
class Emitter {
  #listeners = new Map();

  /** Calls `listener` for each `name`; returns a function that stops it. */
  on(name, listener) {
    if (!this.#listeners.has(name)) this.#listeners.set(name, new Set());
    this.#listeners.get(name).add(listener);
    return () => this.off(name, listener);
  }

  off(name, listener) {
    this.#listeners.get(name)?.delete(listener);
  }

  /** @protected */
  emit(name, event) {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        listener(event);
      } catch (error) {
        (globalThis.reportError ?? console.error)(error);
      }
    }
  }
}

/** Where a subscriber stands in the history of a channel. */
class Cursor {
  epoch = undefined;
  offset = undefined;

  get isSet() {
    return this.offset !== undefined;
  }

  /** The position as the caller sees it, or null. */
  get position() {
    return this.isSet ? { epoch: this.epoch, offset: this.offset } : null;
  }

  moveTo(epoch, offset) {
    this.epoch = epoch ?? '';
    this.offset = offset ?? 0;
  }

  clear() {
    this.epoch = this.offset = undefined;
  }

  /** Takes a message's offset; false if that message was seen before. Without history there is nothing to compare. */
  accepts(offset) {
    if (!offset || !this.isSet) return true;
    if (offset <= this.offset) return false;
    this.offset = offset;
    return true;
  }
}

/** A channel's position as the server writes it in the `id` of an event and in a poll's answer. */
function placeOf(channel, { epoch, offset }) {
  const encode = (text) =>
    encodeURIComponent(text).replace(/[!~*'()]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
  return `${encode(channel)}~${encode(epoch)}~${offset}`;
}

/** Applies the server's answer to a (re)subscription to `cursor`; what is to be told comes back as a value. */
function resume(cursor, reply) {
  const wasRecovering = cursor.isSet;
  const from = cursor.position;
  const isLost = wasRecovering && !reply.recovered;
  if (isLost && (reply.epoch ?? '') !== cursor.epoch) cursor.clear();
  const fresh = (reply.publications ?? []).filter((publication) => cursor.accepts(publication.offset));
  if (reply.recoverable || reply.positioned) {
    cursor.moveTo(reply.epoch, Math.max(reply.offset ?? 0, fresh.at(-1)?.offset ?? 0));
  } else {
    cursor.clear();
  }
  return { wasRecovering, isLost, from, fresh };
}

function messageOf(channel, publication, recovered) {
  return {
    channel,
    event: publication.tags?.event ?? 'message',
    data: publication.data,
    offset: publication.offset,
    info: publication.info,
    tags: publication.tags,
    recovered,
  };
}

/**
 * A channel that the client follows, across reconnects. Made by `Apus.subscribe`.
 *
 * Events: `message`, `subscribed`, `recovered`, `lost`, `join`, `leave`, `presence`, `error`, `unsubscribed`.
 */
export class Subscription extends Emitter {
  /** @type {string} */ channel;
  /** 'subscribing', 'subscribed' or 'unsubscribed'. */ state = 'subscribing';
  /** Who is there, by connection, if the subscription was made with `presence: true`. */ members = new Map();
  /** Settles with the first answer: resolves when subscribed, rejects with an `ApusError` when refused. */ ready;

  #client;
  #options;
  #cursor = new Cursor();
  #attempt = 0;
  #isAsking = false;
  #retry;
  #settle;
  #presenceChanges;

  /** @private */
  constructor(client, channel, options) {
    super();
    this.#client = client;
    this.channel = channel;
    this.#options = options;
    if (options.since) this.#cursor.moveTo(options.since.epoch, options.since.offset);
    if (options.onMessage) this.on('message', options.onMessage);
    this.ready = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    this.ready.catch(() => {});
  }

  /** The last position seen, `{ epoch, offset }`, or null in a channel without history. */
  get position() {
    return this.#cursor.position;
  }

  publish(data) {
    return this.#client.publish(this.channel, data);
  }

  history(options) {
    return this.#client.history(this.channel, options);
  }

  presence() {
    return this.#client.presence(this.channel);
  }

  /** Leaves the channel for good. */
  unsubscribe() {
    if (this.state === 'unsubscribed') return;
    const wasSubscribed = this.state === 'subscribed';
    this._end(new ApusError(LocalCode.closed, 'unsubscribed'));
    this.#client._forget(this, wasSubscribed);
  }

  /** @private The command that asks for this channel, from where we stand. */
  _command() {
    const request = { channel: this.channel, recoverable: true, positioned: true };
    if (this.#options.joinLeave || this.#options.presence) request.join_leave = true;
    if (this.#options.data !== undefined) request.data = this.#options.data;
    if (this.#cursor.isSet) Object.assign(request, { recover: true, ...this.#cursor.position });
    return { subscribe: request };
  }

  /** @private The `id:` of the last event read, where the channel is followed by Server-Sent Events. */
  _lastEventId = null;

  /** @private An event of that channel's stream. */
  _event({ event, data, id }) {
    if (id !== null) this._lastEventId = id;
    let value;
    try {
      value = JSON.parse(data);
    } catch {
      return this.emit('error', new ApusError(LocalCode.closed, 'the server sent an event that is not JSON'));
    }
    if (event === 'unsubscribed') return this._push({ unsubscribe: value });
    this._message(event, value);
  }

  /** @private A message that came over HTTP. */
  _message(event, data) {
    if (event === 'dropped') return this._lost({ channel: this.channel, count: data?.count });
    this.#deliver({ data, tags: { event } }, false);
  }

  /** @private Asks the server; called by the client when it is live. */
  _subscribe() {
    clearTimeout(this.#retry);
    if (this.#isAsking) return;
    this.#isAsking = true;
    this.#client._request(
      this._command(), 'subscribe', (reply) => this._subscribed(reply), (error) => this.#refused(error));
  }

  #refused(error) {
    this.#isAsking = false;
    if (this.state === 'unsubscribed' || !this.#client._isLive) return; // asked again after the reconnect
    const served = error.code === ALREADY_SUBSCRIBED ? this.#client._serverCursor(this.channel) : undefined;
    if (served) return this._subscribed({ recoverable: served.isSet, recovered: true, ...served.position });
    this.emit('error', error);
    // The server may hold the subscription although we don't know: only a new connection makes both sides agree.
    if (error.code === LocalCode.timeout) return this.#client._restart('no answer to subscribe');
    if (error.temporary || error.code < 100) {
      this.#retry = this.#client._after(this.#attempt++, () => this.#client._isLive && this._subscribe());
    } else {
      this._dismiss(error);
    }
  }

  /** @private */
  _subscribed(reply) {
    this.#isAsking = false;
    if (this.state === 'unsubscribed') return;
    this.state = 'subscribed';
    this.#attempt = 0;
    const { wasRecovering, isLost, from, fresh } = resume(this.#cursor, reply);
    const result = { channel: this.channel, position: this.position, data: reply.data, wasRecovering };
    this.emit('subscribed', { ...result, recovered: wasRecovering && !isLost });
    if (isLost) this._lost({ channel: this.channel, from, position: this.position });
    for (const publication of fresh) this.#deliver(publication, true);
    if (wasRecovering && !isLost) {
      const event = { channel: this.channel, count: fresh.length, position: this.position };
      this.emit('recovered', event);
      this.#client.emit('recovered', event);
    }
    this.#settle.resolve(this);
    if (this.#options.presence) this.#loadMembers();
  }

  /** @private The connection is gone; the position stays. */
  _interrupted() {
    clearTimeout(this.#retry);
    this.#isAsking = false;
    if (this.state === 'subscribed') this.state = 'subscribing';
  }

  /** @private */
  _end(error) {
    clearTimeout(this.#retry);
    this.state = 'unsubscribed';
    this.#settle.reject(error);
    this.emit('unsubscribed', { channel: this.channel, code: error.code, reason: error.message });
  }

  /** @private The server wants us on this channel no longer, or never did. */
  _dismiss(error) {
    this._end(error);
    this.#client._forget(this, false);
  }

  /** @private */
  _lost(event) {
    this.emit('lost', event);
    this.#client.emit('lost', event);
  }

  /** @private A push of the server for this channel. */
  _push(push) {
    if (push.pub) {
      if (this.#cursor.accepts(push.pub.offset)) this.#deliver(push.pub, false);
    } else if (push.join || push.leave) {
      const kind = push.join ? 'join' : 'leave';
      const { info } = push[kind];
      this.#presenceChanges?.push([kind, info]);
      this.#changeMembers(kind, info);
      this.emit(kind, { channel: this.channel, info });
      if (this.#options.presence) this.emit('presence', { channel: this.channel, members: this.members });
    } else if (push.unsubscribe) {
      const { code = 0, reason = '' } = push.unsubscribe;
      this.state = 'subscribing';
      if (code >= RESUBSCRIBE_FROM) this._subscribe();
      else this._dismiss(new ApusError(code, reason));
    }
  }

  #deliver(publication, recovered) {
    const message = messageOf(this.channel, publication, recovered);
    this.emit('message', message);
    this.#client.emit('message', message);
  }

  #changeMembers(kind, info) {
    if (kind === 'join') this.members.set(info.client, info);
    else this.members.delete(info.client);
  }

  /** Joins and leaves that arrive while the list is on its way are applied to it again. */
  async #loadMembers() {
    const changes = (this.#presenceChanges = []);
    try {
      const present = await this.presence();
      if (changes !== this.#presenceChanges) return;
      this.members = new Map(Object.entries(present));
      for (const [kind, info] of changes) this.#changeMembers(kind, info);
      this.emit('presence', { channel: this.channel, members: this.members });
    } catch (error) {
      if (this.state === 'subscribed') this.emit('error', error);
    } finally {
      if (changes === this.#presenceChanges) this.#presenceChanges = undefined;
    }
  }
}

/**
 * A connection to the gateway and everything that goes over it.
 *
 * Events: `state` `{ state, transport, code, reason, attempt, retryIn }`, `message`, `recovered` and `lost` of every
 * channel, `subscribed` and `unsubscribed` of channels the server put us on, `push` (data of the server for this
 * connection), `error`.
 */
export class Apus extends Emitter {
  /** 'disconnected', 'connecting', 'live' or 'reconnecting'. */ state = 'disconnected';
  /** The id the server gave this connection. */ client = null;
  /** 'websocket', 'sse', 'poll' or null. */ transport = null;

  #url;
  #options;
  #token;
  #socket = null;
  #generation = 0;
  #attempt = 0;
  #failedOpenings = 0;
  #everOpened = false;
  #prefersEvents = false;
  #prefersPolls = false;
  #pollPlace = { after: null };
  #nextId = 1;
  #inFlight = new Map();
  #waiting = new Set();
  #outgoing = [];
  #subscriptions = new Map();
  #served = new Map();
  #timers = {};
  #ping = { interval: 0, answer: false };
  #wake = () => this.#retryNow();

  /**
   * @param {string} address the gateway: `https://host`, or the full address of its socket
   * @param {object} [options]
   * @param {string} [options.token] JWT; fixed. With `getToken` it is only the first one.
   * @param {() => Promise<string>} [options.getToken] asked for the first token and for each new one
   * @param {number} [options.timeout] milliseconds a call may take (10,000)
   * @param {{min: number, max: number}} [options.backoff] milliseconds between attempts (250 to 20,000)
   * @param {number} [options.pingGrace] milliseconds that a ping of the server may be late (10,000)
   * @param {number} [options.maxWaiting] calls that may wait for the connection (1,000)
   * @param {boolean} [options.fallback] read Server-Sent Events, or poll, where no WebSocket opens (true)
   * @param {object} [options.data] given to the server on connect
   * @param {string} [options.name] of the application, for the operator
   * @param {Function} [options.WebSocket] another implementation
   * @param {Function} [options.fetch] another implementation
   * @param {() => number} [options.random] in place of Math.random
   */
  constructor(address = '/', options = {}) {
    super();
    this.#url = socketAddress(address);
    this.#options = {
      timeout: 10_000,
      backoff: { min: 250, max: 20_000 },
      pingGrace: 10_000,
      maxWaiting: 1000,
      fallback: true,
      name: 'apus-js',
      WebSocket: globalThis.WebSocket,
      fetch: globalThis.fetch?.bind(globalThis),
      random: Math.random,
      ...options,
    };
    this.#token = options.token ?? null;
  }

  /** Opens the connection and keeps it open until `disconnect`. */
  connect() {
    if (this.state !== 'disconnected') return;
    this.#attempt = 0;
    globalThis.addEventListener?.('online', this.#wake);
    globalThis.document?.addEventListener('visibilitychange', this.#wake);
    this.#change('connecting');
    this.#open();
  }

  /** Closes the connection for good. Subscriptions stay and are taken up by another `connect`. */
  disconnect() {
    if (this.state !== 'disconnected') this.#close(0, 'disconnect called', false);
  }

  /**
   * Follows a channel; subscribing again to the same channel returns the same subscription.
   *
   * @param {string} channel
   * @param {object} [options]
   * @param {{epoch: string, offset: number}} [options.since] everything after this position first
   * @param {(message) => void} [options.onMessage]
   * @param {boolean} [options.presence] keep `members` (and the event `presence`) up to date
   * @param {boolean} [options.joinLeave] events `join` and `leave`
   * @param {object} [options.data] given to the server with the subscription
   * @returns {Subscription}
   */
  subscribe(channel, options = {}) {
    const existing = this.#subscriptions.get(channel);
    if (existing) {
      if (options.onMessage) existing.on('message', options.onMessage);
      return existing;
    }
    const subscription = new Subscription(this, channel, options);
    this.#subscriptions.set(channel, subscription);
    if (this.#socket instanceof HTTPReader) this.#socket.follow(this.#subscriptions);
    else if (this._isLive) subscription._subscribe();
    return subscription;
  }

  /** Sends `data` to everyone on the channel; resolves when the server has taken it. */
  async publish(channel, data) {
    await this._call({ publish: { channel, data } }, 'publish');
  }

  /** Calls a method of a service; resolves with its result. */
  async rpc(method, params = {}, { timeout } = {}) {
    if (this.#socket instanceof HTTPReader) return this.#socket.rpc(method, params);
    return (await this._call({ rpc: { method, data: params } }, 'rpc', timeout)).data;
  }

  /** Who is on the channel: `{ [client]: { client, user, conn_info, chan_info } }`. */
  async presence(channel) {
    return (await this._call({ presence: { channel } }, 'presence')).presence ?? {};
  }

  /**
   * Past messages of the channel, oldest first unless `reverse`.
   * @returns {Promise<{messages: object[], position: {epoch: string, offset: number}}>}
   */
  async history(channel, { limit = 100, since, reverse } = {}) {
    const reply = await this._call({ history: { channel, limit, since, reverse } }, 'history');
    const messages = (reply.publications ?? []).map((publication) => messageOf(channel, publication, true));
    return { messages, position: { epoch: reply.epoch ?? '', offset: reply.offset ?? 0 } };
  }

  // What subscriptions need of the connection.

  /** @private */
  get _isLive() {
    return this.state === 'live';
  }

  /** @private */
  _serverCursor(channel) {
    return this.#served.get(channel);
  }

  /** @private */
  _forget(subscription, tellServer) {
    this.#subscriptions.delete(subscription.channel);
    if (this.#socket instanceof HTTPReader) this.#socket.follow(this.#subscriptions);
    else if (tellServer && this._isLive && !this.#served.has(subscription.channel)) {
      this._call({ unsubscribe: { channel: subscription.channel } }, 'unsubscribe').catch(() => {});
    }
  }

  /** @private */
  _restart(reason) {
    this.#close(LocalCode.timeout, reason, true);
  }

  /** @private */
  _after(attempt, action) {
    return setTimeout(action, backoff(attempt, this.#options.backoff, this.#options.random));
  }

  /** @private Sends a command, now or when the connection is there; resolves with that field of the reply. */
  _call(command, field, timeout) {
    return new Promise((resolve, reject) => this._request(command, field, resolve, reject, timeout));
  }

  /**
   * @private As `_call`, but `resolve` runs before anything that follows the reply in the same frame is looked at,
   * which a promise's reaction would not.
   */
  _request(command, field, resolve, reject, timeout = this.#options.timeout) {
    if (this.state === 'disconnected') {
      return reject(new ApusError(LocalCode.closed, 'not connected: call connect() first', true));
    }
    if (this.#socket instanceof HTTPReader) {
      return reject(new ApusError(LocalCode.unsupported, `${field} needs a WebSocket; this connection only reads`));
    }
    if (this.#waiting.size >= this.#options.maxWaiting) {
      return reject(new ApusError(LocalCode.overloaded, 'too many calls wait for the connection', true));
    }
    const call = { command, field, resolve, reject };
    call.timer = setTimeout(() => {
      this.#waiting.delete(call);
      this.#inFlight.delete(call.id);
      reject(new ApusError(LocalCode.timeout, `no answer to ${field} in time`, true));
    }, timeout);
    if (this._isLive) this.#send(call);
    else this.#waiting.add(call);
  }

  // The connection's life.

  async #open() {
    const generation = ++this.#generation;
    const isCurrent = () => generation === this.#generation;
    this.#timers.opening = setTimeout(() => {
      // A stream that was let through and says nothing: something on the way waits for its end.
      if (this.#socket instanceof EventStreams) this.#prefersPolls = true;
      this.#close(LocalCode.timeout, 'the gateway does not answer', true);
    }, this.#options.timeout);
    try {
      if (!this.#token && this.#options.getToken) {
        const token = await this.#options.getToken();
        if (!isCurrent()) return;
        if (!token) return this.#close(LocalCode.unauthorized, 'no token', false);
        this.#token = token;
      }
    } catch (error) {
      if (!isCurrent()) return;
      this.emit('error', error);
      return this.#close(LocalCode.unauthorized, 'could not get a token', true);
    }
    if (this.#readsEvents()) return this.#openEvents();
    let socket;
    try {
      socket = new this.#options.WebSocket(this.#url);
    } catch (error) {
      this.emit('error', error);
      return this.#close(1006, 'the WebSocket could not be made', true);
    }
    this.#socket = socket;
    let opened = false;
    socket.onopen = () => {
      opened = this.#everOpened = true;
      this.#failedOpenings = 0;
      this.#greet();
    };
    socket.onmessage = (event) => this.#receive(event.data);
    socket.onclose = (event) => {
      if (!opened) this.#failedOpenings += 1;
      const { code = 1006, reason } = event;
      this.#close(code, reason || 'connection lost', mayReconnect(code));
    };
  }

  /** After two sockets in a row that never opened every other attempt reads events; what works first is kept. */
  #readsEvents() {
    const { fallback, fetch, WebSocket } = this.#options;
    if (!fallback || !fetch || this.#everOpened || this.#subscriptions.size === 0) return false;
    if (this.#prefersEvents || !WebSocket) return true;
    if (this.#failedOpenings < 2) return false;
    this.#failedOpenings = 1;
    return true;
  }

  #openEvents() {
    const streams = this.#prefersPolls
      ? new Polls(this.#url, this.#token, this.#options.fetch, this.#pollPlace)
      : new EventStreams(this.#url, this.#token, this.#options.fetch);
    this.#socket = streams;
    streams.onopen = () => {
      clearTimeout(this.#timers.opening);
      this.#attempt = 0;
      this.#prefersEvents = true;
      this.transport = streams instanceof Polls ? 'poll' : 'sse';
      this.#change('live');
      const error = new ApusError(LocalCode.unsupported, 'this connection only reads');
      for (const call of this.#waiting) {
        const { rpc } = call.command;
        if (rpc) streams.rpc(rpc.method, rpc.data).then((data) => this.#settle(call, data), (e) => this.#fail(call, e));
        else this.#fail(call, error);
      }
      this.#waiting.clear();
    };
    streams.onclose = ({ status, reason }) => {
      if (status !== 401) return this.#close(1006, reason, true);
      this.#token = null;
      this.#close(LocalCode.unauthorized, reason, Boolean(this.#options.getToken));
    };
    streams.follow(this.#subscriptions);
  }

  #settle(call, data) {
    clearTimeout(call.timer);
    call.resolve({ data });
  }

  #fail(call, error) {
    clearTimeout(call.timer);
    call.reject(error);
  }

  #greet() {
    const subs = {};
    for (const [channel, cursor] of this.#served) {
      if (cursor.isSet) subs[channel] = { recover: true, ...cursor.position };
    }
    const { name, data } = this.#options;
    const connect = { name, token: this.#token ?? undefined, data, subs };
    const generation = this.#generation;
    const reject = (error) => {
      if (generation !== this.#generation) return;
      const isExpired = error.code === TOKEN_EXPIRED;
      if (isExpired) this.#token = null;
      const again = isExpired ? Boolean(this.#options.getToken) : error.temporary || error.code < 100;
      this.emit('error', error);
      this.#close(error.code, error.message, again);
    };
    this.#send({ command: { connect }, field: 'connect', resolve: (reply) => this.#greeted(reply), reject });
  }

  #greeted(reply) {
    clearTimeout(this.#timers.opening);
    this.#attempt = 0;
    this.client = reply.client ?? null;
    this.#ping = { interval: (reply.ping ?? 0) * 1000, answer: Boolean(reply.pong) };
    this.#watch();
    this.#scheduleRefresh(reply);
    this.transport = 'websocket';
    this.#change('live');
    if (!this._isLive) return; // a listener has disconnected
    this.#serve(reply.subs ?? {});
    for (const subscription of this.#subscriptions.values()) subscription._subscribe();
    for (const call of this.#waiting) this.#send(call);
    this.#waiting.clear();
  }

  /** Ends this connection; every way to lose it leads here. */
  #close(code, reason, again) {
    this.#generation += 1;
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    const socket = this.#socket;
    this.#socket = null;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.onerror = null;
      socket.close();
    }
    this.client = this.transport = null;
    this.#outgoing = [];
    const lost = new ApusError(LocalCode.closed, 'the connection was lost before the answer came', true);
    const calls = [...this.#inFlight.values(), ...(again ? [] : this.#waiting)];
    this.#inFlight.clear();
    if (!again) this.#waiting.clear();
    for (const subscription of this.#subscriptions.values()) subscription._interrupted();
    if (again) {
      const retryIn = backoff(this.#attempt, this.#options.backoff, this.#options.random);
      this.#attempt += 1;
      this.#timers.reopening = setTimeout(() => this.#reopen(), retryIn);
      this.#change('reconnecting', { code, reason, attempt: this.#attempt, retryIn });
    } else {
      globalThis.removeEventListener?.('online', this.#wake);
      globalThis.document?.removeEventListener('visibilitychange', this.#wake);
      this.#change('disconnected', { code, reason });
    }
    for (const call of calls) this.#fail(call, lost);
  }

  #reopen() {
    clearTimeout(this.#timers.reopening);
    this.#timers.reopening = undefined;
    this.#change('connecting', { attempt: this.#attempt });
    this.#open();
  }

  /** The network is back, or the page is looked at again: no reason to wait any longer. */
  #retryNow() {
    const isHidden = globalThis.document?.visibilityState === 'hidden';
    if (this.state === 'reconnecting' && this.#timers.reopening !== undefined && !isHidden) this.#reopen();
  }

  #change(state, details = {}) {
    this.state = state;
    this.emit('state', { state, transport: this.transport, client: this.client, ...details });
  }

  /** The server pings; silence for longer than that means a dead connection that nobody closed. */
  #watch() {
    clearTimeout(this.#timers.silence);
    if (!this.#ping.interval) return;
    this.#timers.silence = setTimeout(
      () => this.#close(LocalCode.timeout, 'the server fell silent', true),
      this.#ping.interval + this.#options.pingGrace);
  }

  /** Asks for the next token when a tenth of the time is left, at most half a minute before the end. */
  #scheduleRefresh({ expires, ttl = 0 }) {
    clearTimeout(this.#timers.refresh);
    if (!expires || !this.#options.getToken) return;
    const lead = Math.min(30, ttl * 0.1);
    this.#timers.refresh = setTimeout(() => this.#refresh(0), Math.min(LONGEST_TIMER, (ttl - lead) * 1000));
  }

  async #refresh(attempt) {
    const generation = this.#generation;
    try {
      const token = await this.#options.getToken();
      if (generation !== this.#generation) return;
      if (!token) return this.#close(LocalCode.unauthorized, 'no token', false);
      this.#token = token;
      const reply = await this._call({ refresh: { token } }, 'refresh');
      if (generation === this.#generation) this.#scheduleRefresh(reply);
    } catch (error) {
      if (generation !== this.#generation) return;
      this.emit('error', error);
      if (error instanceof ApusError && !error.temporary) return this.#close(error.code, error.message, false);
      this.#timers.refresh = this._after(attempt, () => this.#refresh(attempt + 1));
    }
  }

  // Frames.

  /** Commands of one turn of the event loop leave in one frame. */
  #send(call) {
    call.id = this.#nextId++;
    this.#inFlight.set(call.id, call);
    this.#write({ id: call.id, ...call.command });
  }

  #write(command) {
    if (this.#outgoing.push(JSON.stringify(command)) > 1) return;
    queueMicrotask(() => {
      const frame = this.#outgoing.join('\n');
      this.#outgoing = [];
      if (frame && this.#socket?.readyState === 1) this.#socket.send(frame);
    });
  }

  #receive(frame) {
    this.#watch();
    const generation = this.#generation;
    for (const line of String(frame).split('\n')) {
      if (!line || generation !== this.#generation) continue;
      let reply;
      try {
        reply = JSON.parse(line);
      } catch {
        return this.#close(LocalCode.closed, 'the server sent what is not JSON', true);
      }
      if (reply.id) this.#answer(reply);
      else if (reply.push) this.#push(reply.push);
      else if (this.#ping.answer) this.#write({});
    }
  }

  #answer(reply) {
    const call = this.#inFlight.get(reply.id);
    if (!call) return; // it timed out
    this.#inFlight.delete(reply.id);
    clearTimeout(call.timer);
    if (reply.error) {
      call.reject(new ApusError(reply.error.code, reply.error.message, Boolean(reply.error.temporary)));
    } else {
      call.resolve(reply[call.field] ?? {});
    }
  }

  #push(push) {
    const { channel } = push;
    if (push.disconnect) {
      const { code = 0, reason = '', reconnect } = push.disconnect;
      return this.#close(code, reason, reconnect ?? mayReconnect(code));
    }
    if (push.refresh) return this.#scheduleRefresh(push.refresh);
    if (push.message) return this.#told(push.message.data);
    if (push.subscribe) return this.#serve({ [channel]: push.subscribe }, false);
    const subscription = this.#subscriptions.get(channel);
    if (subscription) return subscription._push(push);
    const cursor = this.#served.get(channel);
    if (push.pub) {
      if (!cursor || cursor.accepts(push.pub.offset)) this.emit('message', messageOf(channel, push.pub, false));
    } else if (push.join || push.leave) {
      const kind = push.join ? 'join' : 'leave';
      this.emit(kind, { channel, info: push[kind].info });
    } else if (push.unsubscribe && this.#served.delete(channel)) {
      this.emit('unsubscribed', { channel, ...push.unsubscribe });
    }
  }

  /** A word of the server to this connection. A slow one is told how many messages were left out. */
  #told(data) {
    if (data?.type !== 'dropped') return this.emit('push', data);
    const event = { channel: data.channel, count: data.count };
    const subscription = this.#subscriptions.get(data.channel);
    if (subscription) subscription._lost(event);
    else this.emit('lost', event);
  }

  /** Channels that the server put this connection on, with what was missed on them. */
  #serve(replies, isComplete = true) {
    for (const channel of isComplete ? [...this.#served.keys()] : []) {
      if (!replies[channel]) {
        this.#served.delete(channel);
        this.emit('unsubscribed', { channel, code: 0, reason: 'no longer subscribed by the server' });
      }
    }
    for (const [channel, reply] of Object.entries(replies)) {
      const cursor = this.#served.get(channel) ?? new Cursor();
      this.#served.set(channel, cursor);
      const { wasRecovering, isLost, from, fresh } = resume(cursor, reply);
      const { position } = cursor;
      this.emit('subscribed', { channel, position, wasRecovering, recovered: wasRecovering && !isLost });
      if (isLost) this.emit('lost', { channel, from, position });
      for (const publication of fresh) this.emit('message', messageOf(channel, publication, true));
      if (wasRecovering && !isLost) this.emit('recovered', { channel, count: fresh.length, position });
    }
  }
}

/** Takes the text of an event stream piece by piece and returns the events that are complete. */
export class EventParser {
  #rest = '';
  #event = '';
  #data = [];
  #id = null;

  feed(text) {
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop();
    const events = [];
    for (const line of lines) {
      if (line === '') {
        if (this.#data.length) {
          events.push({ event: this.#event || 'message', data: this.#data.join('\n'), id: this.#id });
        }
        this.#event = '';
        this.#data = [];
        continue;
      }
      const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line);
      if (field === 'event') this.#event = value;
      else if (field === 'data') this.#data.push(value);
      else if (field === 'id' && !value.includes('\0')) this.#id = value;
    }
    return events;
  }
}

/** What stands in the place of a socket where none opens: it reads over HTTP, and calls go by POST. */
class HTTPReader {
  onopen = null;
  onclose = null;

  _base;
  _headers;
  _fetch;

  constructor(socketUrl, token, fetch) {
    this._base = socketUrl.replace(/^ws/, 'http').replace(/\/connection\/websocket(\?.*)?$/, '');
    this._headers = token ? { Authorization: `Bearer ${token}` } : {};
    this._fetch = fetch;
  }

  _post(path, body, signal) {
    return this._fetch(`${this._base}${path}`, {
      method: 'POST',
      headers: { ...this._headers, 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
      signal,
    });
  }

  async rpc(method, params) {
    const response = await this._post(`/rpc/${encodeURIComponent(method)}`, params);
    const answer = await response.json().catch(() => ({}));
    if (response.ok && !answer?.error) return answer?.result ?? answer;
    const { code = response.status, message = response.statusText, temporary } = answer?.error ?? {};
    throw new ApusError(code, message, temporary ?? code >= 500);
  }
}

/** One stream of Server-Sent Events per channel, so that each continues from its own last event. */
class EventStreams extends HTTPReader {
  #readers = new Map();

  /** Reads exactly these channels. */
  follow(subscriptions) {
    for (const [channel, reader] of this.#readers) {
      if (subscriptions.has(channel)) continue;
      this.#readers.delete(channel);
      reader.abort();
    }
    for (const [channel, subscription] of subscriptions) {
      if (this.#readers.has(channel)) continue;
      const reader = new AbortController();
      this.#readers.set(channel, reader);
      this.#read(subscription, reader.signal);
    }
  }

  close() {
    this.onopen = this.onclose = null;
    for (const reader of this.#readers.values()) reader.abort();
    this.#readers.clear();
  }

  async #read(subscription, signal) {
    let status = 0;
    let reason = 'the event stream ended';
    try {
      const query = new URLSearchParams({ channel: subscription.channel });
      // Who begins at a position of its own, such as that of a snapshot, has no id of an event yet.
      if (subscription._lastEventId === null && subscription.position) {
        subscription._lastEventId = placeOf(subscription.channel, subscription.position);
      }
      if (subscription._lastEventId !== null) query.set('last_event_id', subscription._lastEventId);
      const headers = { ...this._headers, Accept: 'text/event-stream' };
      const response = await this._fetch(`${this._base}/events?${query}`, { headers, signal, cache: 'no-store' });
      ({ status } = response);
      if (REFUSED.has(status)) return subscription._dismiss(new ApusError(status, 'refused'));
      if (!response.ok) throw new Error(`the event stream was refused with status ${status}`);
      const parser = new EventParser();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        for (const event of parser.feed(part.value)) this.#take(subscription, event);
      }
    } catch (error) {
      reason = error.message;
    }
    if (!signal.aborted) this.onclose?.({ status, reason });
  }

  #take(subscription, event) {
    if (event.event !== 'connected') return subscription._event(event);
    const { recovered = false, position } = JSON.parse(event.data).channels?.[subscription.channel] ?? {};
    this.onopen?.();
    this.onopen = null;
    const isResumed = subscription._lastEventId !== null;
    if (event.id !== null) subscription._lastEventId = event.id;
    subscription._subscribed({ recoverable: Boolean(position), recovered: isResumed && recovered, ...position });
  }
}

/**
 * The last way out, where a proxy keeps a stream back until it ends: one long poll after the other, for all channels. The
 * position, which is all that the next poll needs, outlives the connection.
 */
class Polls extends HTTPReader {
  #place;
  #subscriptions = new Map();
  #current = null;

  constructor(socketUrl, token, fetch, place) {
    super(socketUrl, token, fetch);
    this.#place = place;
  }

  /** Reads exactly these channels, in one request from the end of this turn of the event loop on. */
  follow(subscriptions) {
    this.#subscriptions = new Map(subscriptions);
    this.#current?.abort();
    const reader = (this.#current = new AbortController());
    queueMicrotask(() => this.#read(reader.signal));
  }

  close() {
    this.onopen = this.onclose = null;
    this.#current?.abort();
  }

  async #read(signal) {
    let status = 0;
    let reason = 'polling failed';
    try {
      // The first answer comes at once: it says where the channels are.
      for (let wait = 0; !signal.aborted && this.#subscriptions.size > 0; wait = POLL_WAIT) {
        const response = await this.#poll([...this.#subscriptions.keys()], wait, signal);
        ({ status } = response);
        if (REFUSED.has(status)) {
          await this.#dismissRefused(status, signal);
          continue;
        }
        if (!response.ok) throw new Error(`polling was refused with status ${status}`);
        const answer = await response.json();
        if (!signal.aborted) this.#take(answer);
      }
      return;
    } catch (error) {
      reason = error.message;
    }
    if (!signal.aborted) this.onclose?.({ status, reason });
  }

  #poll(channels, wait, signal) {
    return this._post('/poll', { channels, wait, after: this.#after() || undefined }, signal);
  }

  /** Where the answer before ended, and where those begin that come with a position of their own, such as a snapshot's. */
  #after() {
    const begun = [...this.#subscriptions.values()].filter(({ state, position }) => state === 'subscribing' && position);
    const own = begun.map(({ channel, position }) => placeOf(channel, position));
    const channels = new Set(own.map((place) => place.split('~')[0]));
    const rest = (this.#place.after ?? '').split(',').filter((place) => place && !channels.has(place.split('~')[0]));
    return [...rest, ...own].join(',');
  }

  /** One channel that may not be followed has all of them refused. */
  async #dismissRefused(status, signal) {
    for (const [channel, subscription] of [...this.#subscriptions]) {
      const isAlone = this.#subscriptions.size === 1;
      const answer = isAlone ? status : (await this.#poll([channel], 0, signal)).status;
      if (REFUSED.has(answer)) return subscription._dismiss(new ApusError(answer, 'refused'));
    }
    throw new Error(`polling was refused with status ${status}`);
  }

  #take({ messages, position, lost = [] }) {
    const isResumed = this.#place.after !== null;
    this.#place.after = position;
    this.onopen?.();
    this.onopen = null;
    for (const subscription of this.#subscriptions.values()) {
      const isNew = subscription.state === 'subscribing';
      const saysItself = isNew && subscription.position !== null;
      const isLost = lost.includes(subscription.channel);
      if (isNew) subscription._subscribed({ recovered: !isLost });
      if (isLost && isResumed && !saysItself) subscription._lost({ channel: subscription.channel });
    }
    for (const { channel, event, data } of messages) this.#subscriptions.get(channel)?._message(event, data);
  }
}
