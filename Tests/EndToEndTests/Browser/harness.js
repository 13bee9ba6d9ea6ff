/** The few lines that tests in a browser need: checks, a clock that is turned by hand, and a WebSocket without a net. */

const tests = [];

const cleanups = [];

export function afterTest(action) {
  cleanups.push(action);
}

export function test(name, body) {
  tests.push({ name, body });
}

export function equal(actual, expected, what = 'value') {
  const [left, right] = [actual, expected].map((value) => JSON.stringify(value));
  if (left !== right) throw new Error(`${what}: expected ${right}, got ${left}`);
}

export function ok(condition, what) {
  if (!condition) throw new Error(what);
}

/** Lets everything run that is ready to. */
export async function settle() {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}

const real = { setTimeout, clearTimeout };

/** Timers that go off when a test says so. */
export class Clock {
  #now = 0;
  #next = 1;
  #timers = new Map();

  install() {
    globalThis.setTimeout = (action, delay = 0) => {
      this.#timers.set(this.#next, { action, at: this.#now + delay });
      return this.#next++;
    };
    globalThis.clearTimeout = (id) => this.#timers.delete(id);
  }

  static uninstall() {
    Object.assign(globalThis, real);
  }

  /** When the timers that wait go off, from now. */
  get pending() {
    return [...this.#timers.values()].map(({ at }) => at - this.#now).sort((left, right) => left - right);
  }

  async advance(milliseconds) {
    const end = this.#now + milliseconds;
    await settle();
    for (;;) {
      const [id, timer] = [...this.#timers].sort(([, left], [, right]) => left.at - right.at)[0] ?? [];
      if (!timer || timer.at > end) break;
      this.#timers.delete(id);
      this.#now = timer.at;
      timer.action();
      await settle();
    }
    this.#now = end;
  }
}

/** Every socket a client opened, and what it wrote. */
export class FakeSocket {
  static all = [];

  static reset() {
    FakeSocket.all = [];
  }

  static get last() {
    return FakeSocket.all.at(-1);
  }

  readyState = 0;
  frames = [];
  isClosed = false;

  constructor(url) {
    this.url = url;
    FakeSocket.all.push(this);
  }

  send(frame) {
    this.frames.push(frame);
  }

  close() {
    this.isClosed = true;
    this.readyState = 3;
  }

  /** Commands written so far, without answers to pings. */
  get commands() {
    return this.frames.flatMap((frame) => frame.split('\n')).map((line) => JSON.parse(line)).filter((line) => line.id);
  }

  /** The last command of that kind. */
  last(kind) {
    return this.commands.filter((command) => command[kind]).at(-1);
  }

  async open() {
    this.readyState = 1;
    this.onopen();
    await settle();
  }

  /** What the server writes, all in one frame. */
  async receive(...replies) {
    this.onmessage({ data: replies.map((reply) => JSON.stringify(reply)).join('\n') });
    await settle();
  }

  async drop(code = 1006, reason = '') {
    this.readyState = 3;
    this.onclose({ code, reason });
    await settle();
  }

  /** Answers the last command of that kind. */
  async answer(kind, body = {}, ...more) {
    await this.receive({ id: this.last(kind).id, [kind]: body }, ...more);
  }

  async fail(kind, error) {
    await this.receive({ id: this.last(kind).id, error });
  }
}

/** Runs all tests; the page's `report` is set when they are done. */
export async function run() {
  const failures = [];
  for (const { name, body } of tests) {
    const clock = new Clock();
    FakeSocket.reset();
    clock.install();
    try {
      await body(clock);
    } catch (error) {
      failures.push({ name, reason: String(error?.stack ?? error) });
    } finally {
      for (const action of cleanups.splice(0)) action();
      Clock.uninstall();
    }
  }
  globalThis.report = { count: tests.length, failures };
}
