/** The bell: how many are unread, and the list of the user's notifications. */

import { announce, byId, element, quoted, showCommand, time } from './ui.js';

const PAGE = 20;

export function startNotifications(apus, { user }) {
  const bell = byId('bell');
  const inbox = byId('inbox');
  const list = byId('notifications');
  const channel = `user:${user}`;
  const items = new Map();
  let unread = 0;
  let revision = 0;
  let next = null;

  bell.hidden = false;
  byId('inbox-channel').textContent = channel;
  showCommand(byId('notification-shell'), 'Ship an order of yours', () => {
    const event = { order_id: 1000 + Math.floor(Math.random() * 1000), user_id: user, status: 'shipped' };
    return `apus event order.status_changed ${quoted(JSON.stringify(event))}`;
  });

  async function load(before) {
    try {
      const page = await apus.rpc('notifications.list', before ? { limit: PAGE, before } : { limit: PAGE });
      if (!before) items.clear();
      for (const item of page.notifications ?? []) items.set(item.id, item);
      next = page.has_more ? (page.notifications.at(-1)?.id ?? null) : null;
      setUnread(page.unread_count ?? 0, page.inbox_revision);
      show();
    } catch (error) {
      byId('no-notifications').textContent = `The list can’t be had just now: ${error.message}`;
    }
  }

  /** The inbox counts its changes; a count from before the last one seen says nothing new. */
  function setUnread(amount, atRevision = revision) {
    if (atRevision < revision) return;
    revision = atRevision;
    unread = amount;
    byId('unread').textContent = amount > 99 ? '99+' : amount;
    bell.dataset.unread = amount;
    document.title = amount ? `(${amount}) Apus` : 'Apus';
  }

  function show() {
    const newestFirst = [...items.values()].sort((left, right) => {
      const order = String(right.created_at).localeCompare(String(left.created_at));
      return order || String(right.id).localeCompare(String(left.id));
    });
    list.replaceChildren(...newestFirst.map(entry));
    byId('no-notifications').hidden = items.size > 0;
    byId('read-all').disabled = unread === 0;
    byId('older').hidden = !next;
  }

  function entry(item) {
    const title = item.title || item.message;
    const button = item.read
      ? null
      : element('button', { type: 'button', class: 'link', onclick: () => markRead(item) }, 'Mark as read');
    return element(
      'li', { class: item.read ? 'read' : 'unread', 'data-id': item.id },
      element('p', { class: 'title' }, title),
      title === item.message ? null : element('p', {}, item.message),
      element('p', { class: 'meta' }, element('time', { datetime: item.created_at }, time(item.created_at)), button));
  }

  async function markRead(item) {
    try {
      const answer = await apus.rpc('notifications.mark_read', { id: item.id });
      if (!item.read) setUnread(answer?.unread_count ?? Math.max(0, unread - 1), answer?.inbox_revision);
      item.read = true;
      show();
      list.focus();
    } catch (error) {
      announce(`Not marked as read: ${error.message}`);
    }
  }

  async function markAllRead() {
    const newest = [...items.values()].sort((left, right) => (left.created_at < right.created_at ? 1 : -1))[0];
    try {
      await apus.rpc('notifications.mark_all_read', newest ? { up_to: newest.id } : {});
      await load();
    } catch (error) {
      announce(`Not marked as read: ${error.message}`);
    }
  }

  function take({ event, data, recovered }) {
    if (event === 'notification') {
      const isNew = !items.has(data.id);
      items.set(data.id, { ...items.get(data.id), ...data });
      if (typeof data.unread_count === 'number') setUnread(data.unread_count, data.inbox_revision);
      else if (isNew) setUnread(unread + 1);
      show();
      if (isNew && !recovered) {
        announce(`Notification: ${data.title ?? ''} ${data.message ?? ''}`);
        ring();
      }
    } else if (event === 'notification_read') {
      // Read in another window.
      for (const id of data.ids ?? []) if (items.has(id)) items.get(id).read = true;
      setUnread(data.unread_count ?? unread, data.inbox_revision);
      show();
    } else if (event === 'notification_preferences') {
      load();
    }
  }

  function ring() {
    bell.classList.remove('rings');
    void bell.offsetWidth;
    bell.classList.add('rings');
  }

  function toggle(isOpen) {
    inbox.hidden = !isOpen;
    bell.setAttribute('aria-expanded', isOpen);
    if (isOpen) list.focus();
  }

  bell.addEventListener('click', () => toggle(inbox.hidden));
  byId('read-all').addEventListener('click', markAllRead);
  byId('older').addEventListener('click', () => next && load(next));
  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || inbox.hidden) return;
    toggle(false);
    bell.focus();
  });
  document.addEventListener('click', (event) => {
    if (!inbox.hidden && !event.composedPath().some((node) => node === inbox || node === bell)) toggle(false);
  });

  // The server puts every connection of a user on the user's channel by itself.
  apus.on('message', (message) => message.channel === channel && take(message));
  apus.on('lost', (event) => event.channel === channel && load());
  apus.on('state', ({ state }) => state === 'live' && load());
}
