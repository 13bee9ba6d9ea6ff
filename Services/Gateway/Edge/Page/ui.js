/** Small things that every panel needs: elements, numbers and times for people, commands to copy. */

export const byId = (id) => document.getElementById(id);

/**
 * Makes an element. Properties are set as attributes, `on…` as listeners; children are nodes or text, and text is
 * never read as HTML.
 */
export function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** As `element`, for drawings. */
export function drawing(tag, attributes = {}, ...children) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** Says something to people who don't look at the screen. */
export function announce(text) {
  byId('announcer').textContent = text;
}

const digits = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 6 });
const plain = new Intl.NumberFormat();
const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const day = new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' });

/** A number for a table cell; nothing for none. */
export function number(value) {
  if (typeof value !== 'number') return value === null || value === undefined ? '' : String(value);
  return Number.isInteger(value) ? plain.format(value) : digits.format(value);
}

/** A point in time: the clock for today, with the day otherwise. */
export function time(value) {
  const date = new Date(value ?? NaN);
  if (Number.isNaN(date.getTime())) return '';
  return date.toDateString() === new Date().toDateString() ? clock.format(date) : day.format(date);
}

/** "1 message", "2 messages". */
export function count(amount, one, many = `${one}s`) {
  return `${plain.format(amount)} ${amount === 1 ? one : many}`;
}

/** The text after the last slash. */
export const fileName = (path) => String(path ?? '').split('/').pop();

/** A text as one word of a shell. */
export const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

/**
 * Shows a command line with a button that copies it. `command` is a text or a function that makes it anew for each
 * copy.
 */
export function showCommand(place, label, command) {
  const make = typeof command === 'function' ? command : () => command;
  const code = element('code', { tabindex: '0', 'aria-label': 'Command' }, make());
  const button = element('button', { type: 'button', class: 'copy', 'aria-label': `Copy: ${label}` }, 'Copy');
  let timer;
  button.addEventListener('click', async () => {
    code.textContent = make();
    const isCopied = await copy(code);
    button.textContent = isCopied ? 'Copied' : 'Press Ctrl+C';
    clearTimeout(timer);
    timer = setTimeout(() => { button.textContent = 'Copy'; }, 2000);
  });
  place.replaceChildren(element('span', { class: 'shell-label' }, label), element('div', { class: 'line' }, code, button));
}

/** Without the clipboard (an address that is not secure) the text is selected, to be copied by hand. */
async function copy(node) {
  try {
    await navigator.clipboard.writeText(node.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(node);
    return false;
  }
}

/** Marks a node as just changed; the mark fades by itself. */
export function flash(node) {
  node.classList.remove('flash');
  void node.offsetWidth; // restarts the animation
  node.classList.add('flash');
}
