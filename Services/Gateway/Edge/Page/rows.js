/** A table of a database as it is now: its rows at first, then every change. */

import { byId, element, flash, number, quoted, showCommand } from './ui.js';
import { Rows } from './rowset.js';

const PAGE = 200;
const SHOWN = 200;

export function startRows(apus, { configuration }) {
  const tables = configuration.tables ?? [];
  const choice = byId('table-name');
  let close = () => {};
  const choose = (table) => {
    close();
    close = follow(apus, table, configuration);
  };
  if (tables.length > 1) {
    choice.append(...tables.map((table) => element('option', {}, table)));
    choice.hidden = false;
    choice.addEventListener('change', () => choose(choice.value));
  }
  if (tables.length) choose(tables[0]);
  else byId('rows-note').textContent = 'No table is shown: name one that livesync follows in gateway.page.tables.';
}

function follow(apus, table, configuration) {
  const channel = `table:${table}`;
  const note = byId('rows-note');
  const body = byId('rows').tBodies[0];
  const nodes = new Map();
  let rows = new Rows();
  let subscription;
  let isClosed = false;
  let retry;

  byId('rows-channel').textContent = channel;
  byId('last-change').textContent = '';
  note.textContent = 'Reading the rows…';

  /** All rows, and from the position of the first page on every change, which is applied by key. */
  async function load() {
    clearTimeout(retry);
    subscription?.unsubscribe();
    const loading = new Rows();
    try {
      let page = await apus.rpc('sync.snapshot', { table, limit: PAGE });
      const { position } = page;
      for (;;) {
        loading.add(page.rows ?? [], page.snapshot);
        if (!page.next || isClosed) break;
        page = await apus.rpc('sync.snapshot', { table, limit: PAGE, after: page.next });
      }
      if (isClosed) return;
      rows = loading;
      note.textContent = '';
      draw();
      subscription = apus.subscribe(channel, { since: position, onMessage: take });
      subscription.on('lost', () => load());
      subscription.on('error', ({ message }) => {
        note.textContent = `The table can’t be followed: ${message}`;
      });
    } catch (error) {
      if (isClosed) return;
      note.textContent = `The rows can’t be read just now: ${error.message}`;
      retry = setTimeout(load, 3000);
    }
  }

  function take({ event, data }) {
    if (event !== 'change') return;
    const change = rows.apply(data);
    if (!change) return;
    if (change.isTruncated || !change.row || !nodes.has(change.id)) draw();
    else fill(nodes.get(change.id), change.row);
    mark(change, data);
  }

  function mark({ id, row, old }, { action, changes, key }) {
    const node = nodes.get(id);
    if (node && action === 'created') flash(node);
    if (node && action === 'updated') {
      for (const cell of node.cells) {
        const name = cell.dataset.column;
        if (old && JSON.stringify(old[name]) !== JSON.stringify(row[name])) flash(cell);
      }
    }
    const where = Object.entries(key ?? {}).map(([name, value]) => `${name} ${value}`).join(', ');
    const what = Object.entries(changes ?? {}).map(([name, [before, after]]) => `${name} ${show(before)} → ${show(after)}`);
    byId('last-change').textContent = [`${where} ${action}`, ...what].join(' · ');
  }

  function draw() {
    const columns = rows.columns();
    const shown = [...rows].slice(0, SHOWN);
    const kind = (name) => (typeof shown[0]?.[1][name] === 'number' ? 'number' : null);
    const head = element('tr', {}, ...columns.map((name) => element('th', { scope: 'col', class: kind(name) }, name)));
    byId('rows').tHead.replaceChildren(head);
    nodes.clear();
    body.replaceChildren(...shown.map(([id, row]) => {
      const cells = columns.map((name) => element('td', { 'data-column': name }));
      const node = element('tr', { 'data-key': id }, ...cells);
      fill(node, row);
      nodes.set(id, node);
      return node;
    }));
    if (rows.size > SHOWN) note.textContent = `The first ${SHOWN} of ${number(rows.size)} rows.`;
    else if (!rows.size) note.textContent = 'The table is empty.';
    else note.textContent = '';
    showCommand(byId('rows-shell'), 'Change a row with any program', () => statement(rows, table, configuration));
  }

  load();
  return () => {
    isClosed = true;
    clearTimeout(retry);
    subscription?.unsubscribe();
  };
}

function fill(node, row) {
  for (const cell of node.cells) {
    const value = row[cell.dataset.column];
    cell.textContent = show(value);
    cell.className = typeof value === 'number' ? 'number' : value === null || value === undefined ? 'null' : '';
  }
}

function show(value) {
  if (value === null || value === undefined) return 'null';
  if (typeof value === 'number') return number(value);
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** An UPDATE that fits the rows on the page, for the shell. */
function statement(rows, table, { database }) {
  const [, row] = [...rows][0] ?? [];
  const name = table.split('.').pop();
  const file = quoted(database ?? 'shop.sqlite');
  const key = rows.keyColumns()[0];
  // Not a column of yes and no, of which one cannot be taken away.
  const isAmount = (field) => [...rows].some(([, { [field]: value }]) => typeof value === 'number' && value > 1);
  const column = row && Object.keys(row).filter((field) => field !== key && isAmount(field)).at(-1);
  if (!column) return `sqlite3 ${file} 'SELECT * FROM "${name}"'`;
  const value = typeof row[key] === 'number' ? row[key] : `'${String(row[key]).replaceAll("'", "''")}'`;
  return `sqlite3 ${file} ${quoted(`UPDATE ${name} SET ${column} = ${column} - 1 WHERE ${key} = ${value}`)}`;
}
