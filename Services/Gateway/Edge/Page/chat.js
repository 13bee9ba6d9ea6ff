/** A chat room: what was said, who is here. Messages missed during an outage come in their place by themselves. */

import { byId, count, element, quoted, showCommand, time } from './ui.js';

const CHANNEL = 'room:lobby';
const KEPT = 300;

export function startChat(apus, { name }) {
  const list = byId('messages');
  const note = byId('chat-note');
  const shown = new Map();
  let missed;
  const subscription = apus.subscribe(CHANNEL, { presence: true });

  byId('chat-channel').textContent = CHANNEL;
  showCommand(byId('chat-shell'), 'Speak from a shell', () => `apus publish ${CHANNEL} '{"text":"Hello from a shell"}'`);

  /** Whoever reads the end goes on reading the end; whoever has scrolled back stays there. */
  function atTheEnd(change) {
    const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    const result = change();
    if (isAtEnd) list.scrollTop = list.scrollHeight;
    return result;
  }

  function take({ data, event, offset, info, recovered }) {
    if (event !== 'message' || (offset && shown.has(offset))) return;
    const author = info?.user || data?.from || 'a backend';
    const isMine = info ? info.client === apus.client || (info.user && info.user === name) : data?.from === name;
    const node = element(
      'li', { class: isMine ? 'mine' : '', 'data-offset': offset, 'data-recovered': recovered },
      element('span', { class: 'author' }, String(author)),
      element('span', { class: 'text' }, textOf(data)),
      data?.at ? element('time', { datetime: data.at }, time(data.at)) : null);
    const after = offset ? [...list.children].find((child) => Number(child.dataset.offset) > offset) : null;
    if (offset) shown.set(offset, node);
    atTheEnd(() => {
      list.insertBefore(node, after ?? null);
      while (list.children.length > KEPT) {
        shown.delete(Number(list.firstChild.dataset.offset));
        list.firstChild.remove();
      }
    });
  }

  /** Something between messages, such as a gap. */
  function remark(text, kind) {
    const node = element('li', { class: `remark ${kind}` }, text);
    atTheEnd(() => list.append(node));
    return node;
  }

  subscription.on('message', take);
  subscription.on('subscribed', async ({ recovered }) => {
    note.textContent = '';
    // What was missed comes next, and goes below this line.
    if (recovered) return void (missed = remark('', 'recovered'));
    try {
      const { messages } = await subscription.history({ limit: 100, reverse: true });
      for (const message of messages.reverse()) take(message);
      list.scrollTop = list.scrollHeight;
    } catch {
      // No history: the room begins with what is said next.
    }
  });
  subscription.on('recovered', ({ count: amount }) => {
    atTheEnd(() => {
      if (amount) missed.textContent = `${count(amount, 'message')} while you were away`;
      else missed.remove();
    });
  });
  subscription.on('lost', () => remark('Some messages of the time you were away are no longer kept.', 'lost'));
  subscription.on('presence', ({ members }) => showPeople(members));
  subscription.on('error', ({ message }) => {
    if (subscription.state !== 'subscribed') note.textContent = `The room can’t be entered: ${message}`;
  });

  function showPeople(members) {
    const windows = new Map();
    for (const { user, client } of members.values()) {
      const key = user || `guest ${client.slice(0, 4)}`;
      windows.set(key, (windows.get(key) ?? 0) + 1);
    }
    const people = [...windows].sort(([left], [right]) => left.localeCompare(right));
    byId('people').replaceChildren(...people.map(([person, amount]) => element(
      'li', { 'data-user': person, class: person === name ? 'me' : '' }, person,
      amount > 1 ? element('span', { class: 'quiet' }, ` × ${amount}`) : null)));
  }

  byId('say').addEventListener('submit', async (event) => {
    event.preventDefault();
    const field = byId('words');
    const text = field.value.trim();
    if (!text) return;
    field.value = '';
    try {
      await subscription.publish({ text, from: name, at: new Date().toISOString() });
      note.textContent = '';
    } catch (error) {
      if (!field.value) field.value = text;
      note.textContent = `Not sent: ${error.message}`;
    }
  });
}

function textOf(data) {
  if (typeof data === 'string') return data;
  return String(data?.text ?? data?.message ?? JSON.stringify(data));
}
