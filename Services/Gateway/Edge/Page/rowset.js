/**
 * The rows of one table, kept by key: a snapshot's pages first, then changes. A change that a page's rows already hold
 * is left out, so that a row never steps back to what it was.
 */
export class Rows {
  #rows = new Map();
  #snapshots = [];
  #key = null;

  /** Adds the rows of a page; `snapshot` names the transactions that they hold. */
  add(rows, snapshot) {
    for (const row of rows) this.#rows.set(this.#idOf(row), { row, snapshot });
    if (snapshot) this.#snapshots.push(snapshot);
  }

  get size() {
    return this.#rows.size;
  }

  /** Pairs of id and row, in the order of their keys. */
  *[Symbol.iterator]() {
    const sorted = [...this.#rows].sort(([left], [right]) => left.localeCompare(right, undefined, { numeric: true }));
    for (const [id, { row }] of sorted) yield [id, row];
  }

  columns() {
    const names = new Set();
    for (const { row } of this.#rows.values()) for (const name of Object.keys(row)) names.add(name);
    return [...names];
  }

  /** The columns that identify a row. */
  keyColumns() {
    return this.#key ?? [this.columns().find((name) => name === 'id') ?? this.columns()[0]];
  }

  /** Applies a row change; returns what it did, or null if the rows held it already. */
  apply({ action, key, instance, old_instance: previous, transaction }) {
    if (action === 'truncated') {
      this.#rows.clear();
      return { isTruncated: true };
    }
    this.#learnKey(key);
    const id = this.#idOf({ ...(instance ?? previous), ...key });
    const former = previous ? this.#idOf(previous) : id;
    const known = this.#rows.get(id) ?? this.#rows.get(former);
    // A row that is not there may be missing because a page already knew of its end.
    const snapshots = known ? [known.snapshot] : this.#snapshots;
    if (snapshots.length && snapshots.every((snapshot) => holds(snapshot, transaction))) return null;
    const old = known?.row ?? previous;
    this.#rows.delete(former);
    if (action === 'deleted') {
      this.#rows.delete(id);
      return { id, old };
    }
    this.#rows.set(id, { row: instance });
    return { id, row: instance, old };
  }

  /** Until the first change says which columns are the key it is taken to be `id`, or else the first column. */
  #learnKey(key) {
    const names = Object.keys(key ?? {});
    if (!names.length || JSON.stringify(names) === JSON.stringify(this.#key)) return;
    this.#key = names;
    const entries = [...this.#rows.values()];
    this.#rows = new Map(entries.map((entry) => [this.#idOf(entry.row), entry]));
  }

  #idOf(row) {
    const names = this.#key ?? ['id' in row ? 'id' : Object.keys(row)[0]];
    return names.map((name) => String(row[name])).join('/');
  }
}

/** Whether a snapshot's rows hold what `transaction` wrote: PostgreSQL's rule of visibility. */
export function holds(snapshot, transaction) {
  if (!snapshot || transaction === undefined || transaction === null) return false;
  try {
    const id = BigInt(transaction);
    if (id < BigInt(snapshot.xmin)) return true;
    if (id >= BigInt(snapshot.xmax)) return false;
    return !(snapshot.xip ?? []).some((running) => BigInt(running) === id);
  } catch {
    return false; // not numbers: applying by key still ends in the right state
  }
}
