/** Tests of the page's own pure parts. */

import { Rows, holds } from '/rowset.js';
import { claims } from '/session.js';
import { supersedes } from '/tasks.js';
import { quoted } from '/ui.js';
import { equal, test } from './harness.js';

const change = (action, id, instance, transaction, old = null) =>
  ({ action, key: { id }, instance, old_instance: old, transaction });
const content = (rows) => [...rows].map(([, row]) => row);

test('changes are applied by key on top of the snapshot', () => {
  const rows = new Rows();
  rows.add([{ id: 2, n: 'b' }, { id: 10, n: 'j' }]);
  rows.apply(change('created', 1, { id: 1, n: 'a' }));
  rows.apply(change('updated', 2, { id: 2, n: 'B' }));
  rows.apply(change('deleted', 10, null, undefined, { id: 10, n: 'j' }));
  equal(content(rows), [{ id: 1, n: 'a' }, { id: 2, n: 'B' }]);
  rows.apply({ action: 'truncated' });
  equal(rows.size, 0);
});

test('a row whose key changes is one row still', () => {
  const rows = new Rows();
  rows.add([{ id: 1, n: 'a' }]);
  rows.apply({ action: 'updated', key: { id: 5 }, instance: { id: 5, n: 'a' }, old_instance: { id: 1, n: 'a' } });
  equal(content(rows), [{ id: 5, n: 'a' }]);
});

test('a key of other columns than the first is learnt from the first change', () => {
  const rows = new Rows();
  rows.add([{ shop: 1, sku: 'x', n: 1 }, { shop: 1, sku: 'y', n: 1 }].map((row) => ({ id: row.sku, ...row })));
  rows.apply({ action: 'updated', key: { shop: 1, sku: 'y' }, instance: { id: 'y', shop: 1, sku: 'y', n: 2 } });
  equal(content(rows).map((row) => row.n), [1, 2]);
});

test('a change that the rows already hold leaves them as they are', () => {
  const snapshot = { xmin: '10', xmax: '20', xip: ['12'] };
  equal([9, 10, 11, 12, 19, 20, 25].map((id) => holds(snapshot, String(id))), [true, true, true, false, true, false, false]);
  equal([holds(null, '1'), holds(snapshot, null), holds(snapshot, 'not a number')], [false, false, false]);
  const rows = new Rows();
  rows.add([{ id: 1, n: 'new' }], snapshot);
  equal(rows.apply(change('updated', 1, { id: 1, n: 'old' }, '11')), null);
  equal(rows.apply(change('created', 2, { id: 2, n: 'deleted since' }, '11')), null);
  equal(content(rows), [{ id: 1, n: 'new' }]);
  rows.apply(change('updated', 1, { id: 1, n: 'newer' }, '12'));
  equal(content(rows), [{ id: 1, n: 'newer' }]);
});

test('a late report of a task changes nothing', () => {
  const status = (attempt, sequence, name = 'processing') => ({ attempt, sequence, status: name });
  equal(supersedes(status(1, 2), undefined), true);
  equal(supersedes(status(1, 2), status(1, 1)), true);
  equal(supersedes(status(2, 0), status(1, 9)), true);
  equal(supersedes(status(1, 9), status(2, 0)), false);
  equal(supersedes(status(1, 1), status(1, 1)), false);
  equal(supersedes(status(9, 9), status(1, 1, 'completed')), false);
  const listed = { ...status(1, 1, 'completed'), result: null, result_omitted: true };
  equal(supersedes({ ...status(1, 1, 'completed'), result: { rows: 1 } }, listed), true);
});

test('a token’s claims are read, and what is no token has none', () => {
  const part = (value) => btoa(String.fromCharCode(...new TextEncoder().encode(JSON.stringify(value)))).replace(/=+$/, '');
  equal(claims(`${part({})}.${part({ sub: 'Zoë', roles: ['admin'] })}.x`), { sub: 'Zoë', roles: ['admin'] });
  equal([claims('x'), claims('a.b.c'), claims('')], [null, null, null]);
});

test('a command line keeps its words whatever they hold', () => {
  equal(quoted('a/b.csv'), 'a/b.csv');
  equal(quoted(`{"it":"isn't"}`), `'{"it":"isn'\\''t"}'`);
});
