/** What `dataset.summarize` found, as a table of columns. */

import { count, drawing, element, number } from './ui.js';

export function summaryTable(result) {
  if (!Array.isArray(result?.columns)) {
    return element('pre', { tabindex: '0' }, JSON.stringify(result, null, 2));
  }
  const columns = [
    ['Column', (c) => element('th', { scope: 'row' }, c.name)],
    ['Values', (c) => cell(number(c.count))],
    ['Missing', (c) => cell(number(c.missing), c.missing ? 'some' : '')],
    ['Distinct', (c) => cell(c.distinct_exact === false ? `≈ ${number(c.distinct)}` : number(c.distinct))],
    ['Spread', (c) => element('td', {}, spread(c))],
    ['Min', (c) => cell(number(c.min))],
    ['Median', (c) => cell(number(c.quartiles?.[1]))],
    ['Max', (c) => cell(number(c.max))],
    ['Mean', (c) => cell(number(c.mean))],
    ['Std. dev.', (c) => cell(number(c.stddev))],
  ];
  const head = element('tr', {}, ...columns.map(([name]) => element('th', { scope: 'col' }, name)));
  const rows = result.columns.map((column) => element('tr', {}, ...columns.map(([, make]) => make(column))));
  const ragged = result.ragged_rows ? `, ${number(result.ragged_rows)} of them ragged` : '';
  return element(
    'details', { open: true },
    element('summary', {}, `${count(result.rows ?? 0, 'row')}${ragged}, ${count(rows.length, 'column')}`),
    element(
      'div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Summary of the columns' },
      element('table', {}, element('thead', {}, head), element('tbody', {}, ...rows))));
}

const cell = (text, kind) => element('td', { class: `number ${kind ?? ''}`.trim() }, text);

/** A box plot: from least to greatest, with the middle half as a box. */
function spread({ min, max, quartiles }) {
  if (![min, max, ...(quartiles ?? [])].every(Number.isFinite) || quartiles?.length !== 3 || !(max > min)) return null;
  const x = (value) => 2 + (96 * (value - min)) / (max - min);
  const [first, median, third] = quartiles.map(x);
  const line = (from, to, y1, y2) => drawing('line', { x1: from, x2: to, y1, y2 });
  return drawing(
    'svg', { class: 'spread', viewBox: '0 0 100 16', role: 'img', 'aria-label': `Quartiles ${quartiles.map(number).join(', ')}` },
    line(2, 98, 8, 8), line(2, 2, 5, 11), line(98, 98, 5, 11),
    drawing('rect', { x: first, y: 3, width: Math.max(1, third - first), height: 10 }),
    line(median, median, 2, 14));
}
